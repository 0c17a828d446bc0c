// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {VerifySignature} from "../src/VerifySignature.sol";
import {Account1271, AccountFactory} from "./Account1271.sol";

/// @dev See trees/verifySignature.tree.
contract VerifySignatureTest is Test {
    bytes32 private constant HASH = keccak256("Sign in to Ashya");
    bytes32 private constant SUFFIX = 0x6492649264926492649264926492649264926492649264926492649264926492;
    uint256 private constant KEY = 0xa11ce;
    uint256 private constant OTHER_KEY = 0xb0b;

    AccountFactory private _factory = new AccountFactory();

    function test_AKeysSignature() public {
        assertTrue(verdict(vm.addr(KEY), HASH, sign(KEY, HASH)));
        assertFalse(verdict(vm.addr(OTHER_KEY), HASH, sign(KEY, HASH)));
        assertFalse(verdict(vm.addr(KEY), keccak256("other"), sign(KEY, HASH)));
    }

    function test_MalformedSignaturesAreInvalid() public {
        bytes[4] memory malformed = [bytes(""), new bytes(65), new bytes(64), new bytes(200)];
        for (uint256 i; i < malformed.length; ++i) {
            assertFalse(verdict(vm.addr(KEY), HASH, malformed[i]));
            assertFalse(verdict(address(0), HASH, malformed[i]));
        }
    }

    function test_AContractsSignature() public {
        Account1271 account = new Account1271(vm.addr(KEY));
        assertTrue(verdict(address(account), HASH, sign(KEY, HASH)));
        assertFalse(verdict(address(account), HASH, sign(OTHER_KEY, HASH)));
    }

    function test_AContractWithoutErc1271IsInvalid() public {
        assertFalse(verdict(address(this), HASH, sign(KEY, HASH)));
    }

    function test_AKeyWithCodeMaySignAsAKey() public {
        // As after an EIP-7702 delegation to code that knows no ERC-1271.
        vm.etch(vm.addr(KEY), hex"00");
        assertTrue(verdict(vm.addr(KEY), HASH, sign(KEY, HASH)));
        assertFalse(verdict(vm.addr(KEY), HASH, sign(OTHER_KEY, HASH)));
    }

    function test_AnAccountThatIsNotDeployedYet() public {
        address account = _factory.predict(vm.addr(KEY));
        assertTrue(verdict(account, HASH, wrap(vm.addr(KEY), sign(KEY, HASH))));
        assertEq(account.code.length, 0, "the verdict's revert undoes the deployment");
        assertFalse(verdict(account, HASH, wrap(vm.addr(KEY), sign(OTHER_KEY, HASH))));
        assertFalse(verdict(account, HASH, sign(KEY, HASH)));
    }

    function test_AnAccountOfSomebodyElseIsInvalid() public {
        address account = _factory.predict(vm.addr(KEY));
        assertFalse(verdict(account, HASH, wrap(vm.addr(OTHER_KEY), sign(OTHER_KEY, HASH))));
    }

    function test_AWrappedSignatureOfADeployedAccount() public {
        address account = _factory.deploy(vm.addr(KEY));
        assertTrue(verdict(account, HASH, wrap(vm.addr(KEY), sign(KEY, HASH))));
    }

    function test_AWrapperThatDoesNotDecodeRevertsWithoutAVerdict() public {
        vm.expectRevert(bytes(""));
        new VerifySignature(vm.addr(KEY), HASH, abi.encodePacked(hex"ffff", SUFFIX));
    }

    function testFuzz_OnlyTheSignerIsValid(uint256 key, bytes32 hash, address other) public {
        key = boundPrivateKey(key);
        vm.assume(other != vm.addr(key));
        assertTrue(verdict(vm.addr(key), hash, sign(key, hash)));
        if (other.code.length == 0) assertFalse(verdict(other, hash, sign(key, hash)));
    }

    function verdict(address signer, bytes32 hash, bytes memory signature) private returns (bool) {
        try new VerifySignature(signer, hash, signature) {
            revert("the constructor must revert");
        } catch (bytes memory reason) {
            assertEq(reason.length, 36);
            assertEq(bytes4(reason), VerifySignature.Verdict.selector);
            return reason[35] == 0x01;
        }
    }

    function wrap(address key, bytes memory signature) private view returns (bytes memory) {
        bytes memory prepare = abi.encodeCall(AccountFactory.deploy, (key));
        return abi.encodePacked(abi.encode(address(_factory), prepare, signature), SUFFIX);
    }

    function sign(uint256 key, bytes32 hash) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, hash);
        return abi.encodePacked(r, s, v);
    }
}
