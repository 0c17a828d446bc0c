// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {LibBytes} from "solady/utils/LibBytes.sol";

/// @title Checks any wallet's signature in one `eth_call`
/// @notice Never deployed: its creation code runs inside an `eth_call` and reports by reverting with {Verdict}, so
/// that whatever an ERC-6492 signature prepares is undone.
/// @dev Order of ERC-6492: prepare and ask the account when the signature is wrapped, else ERC-1271 when the signer has
/// code, else ecrecover. An account by EIP-7702 has code and a key, so ecrecover has the last word on all of them. The
/// unwrapping is done here because the libraries' versions call a verifier that most chains do not have.
contract VerifySignature {
    /// @notice Whether the signature is the signer's.
    error Verdict(bool valid);

    /// @dev The last 32 bytes of a wrapped signature.
    bytes32 private constant ERC6492_SUFFIX = 0x6492649264926492649264926492649264926492649264926492649264926492;

    constructor(address signer, bytes32 hash, bytes memory signature) {
        revert Verdict(_isValid(signer, hash, signature));
    }

    function _isValid(address signer, bytes32 hash, bytes memory signature) private returns (bool) {
        uint256 length = signature.length;
        if (length < 32 || LibBytes.load(signature, length - 32) != ERC6492_SUFFIX) {
            return _isValidUnwrapped(signer, hash, signature);
        }
        (address factory, bytes memory prepare, bytes memory inner) =
            abi.decode(LibBytes.truncate(signature, length - 32), (address, bytes, bytes));
        if (signer.code.length != 0 && _isValidUnwrapped(signer, hash, inner)) return true;
        // The account is missing or not ready. Whether preparing it helped shows in its answer alone.
        // ERC-6492 asks for exactly this call, and all of it is undone by the revert.
        // slither-disable-next-line low-level-calls
        (bool prepared,) = factory.call(prepare);
        return prepared && _isValidUnwrapped(signer, hash, inner);
    }

    function _isValidUnwrapped(address signer, bytes32 hash, bytes memory signature) private view returns (bool) {
        if (signer.code.length != 0 && SignatureChecker.isValidERC1271SignatureNow(signer, hash, signature)) {
            return true;
        }
        // The third value only details the error.
        // slither-disable-next-line unused-return
        (address recovered, ECDSA.RecoverError err,) = ECDSA.tryRecover(hash, signature);
        return err == ECDSA.RecoverError.NoError && recovered == signer;
    }
}
