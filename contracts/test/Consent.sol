// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

/// @dev A device's consent, written out from EIP-712, apart from the ledger's own code.
library Consent {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function sign(uint256 key, address ledger, bytes32 name, address owner, uint64 deadline)
        internal
        view
        returns (bytes memory)
    {
        return sign(key, digest(block.chainid, ledger, VM.addr(key), name, owner, deadline));
    }

    function sign(uint256 key, bytes32 hash) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, hash);
        return abi.encodePacked(r, s, v);
    }

    function digest(uint256 chainId, address ledger, address device, bytes32 name, address owner, uint64 deadline)
        internal
        pure
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Ashya"),
                keccak256("1"),
                chainId,
                ledger
            )
        );
        bytes32 message = keccak256(
            abi.encode(
                keccak256("FeedAuthorization(address device,bytes32 name,address owner,uint64 deadline)"),
                device,
                name,
                owner,
                deadline
            )
        );
        return keccak256(abi.encodePacked("\x19\x01", domain, message));
    }
}
