// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @dev The smallest smart account: what its key signed, it signed.
contract Account1271 is IERC1271 {
    address private immutable KEY;

    constructor(address key) {
        KEY = key;
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        return ECDSA.recoverCalldata(hash, signature) == KEY ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

contract AccountFactory {
    function deploy(address key) external returns (address) {
        return address(new Account1271{salt: 0}(key));
    }

    function predict(address key) external view returns (address) {
        return Create2.computeAddress(0, keccak256(abi.encodePacked(type(Account1271).creationCode, abi.encode(key))));
    }
}
