// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IFeedLedger} from "../src/IFeedLedger.sol";
import {Consent} from "./Consent.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev See trees/openFeed.tree.
contract OpenFeedTest is LedgerTest {
    bytes32 private constant SECOND = "back door";

    function open(bytes32 name, uint96 price, address payout_, uint64 until, bytes memory consent) private {
        vm.prank(owner);
        ledger.openFeed(device, name, price, payout_, pauser, LISTING, until, consent);
    }

    function test_OpensAFeed() public {
        at(77);
        bytes32 id = keccak256(abi.encode(device, SECOND));
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, deadline());
        vm.expectEmit(address(ledger));
        emit IFeedLedger.FeedOpened(id, device, SECOND, owner, uint64(START + 77));
        vm.expectEmit(address(ledger));
        emit IFeedLedger.FeedSet(id, device, 5, payout, pauser, LISTING);
        vm.prank(owner);
        assertEq(ledger.openFeed(device, SECOND, 5, payout, pauser, LISTING, deadline(), consent), id);

        IFeedLedger.FeedView memory f = ledger.feedOf(id);
        assertEq(f.device, device);
        assertEq(f.name, SECOND);
        assertEq(f.owner, owner);
        assertEq(f.pendingOwner, address(0));
        assertEq(f.price, 5);
        assertEq(f.payout, payout);
        assertEq(f.pauser, pauser);
        assertEq(f.listing, LISTING);
        IFeedLedger.ClockView memory c = ledger.clockOf(id);
        assertEq(c.base, START + 77);
        assertEq(c.pausedAt, 0);
        assertEq(c.pausedTotal, 0);
        assertEq(c.pausedBy, address(0));
        assertEq(c.retiresAt, 0);
        assertEq(c.feedTime, 0);
    }

    function test_RevertWhen_TheFeedExists() public {
        bytes memory consent = consentOf(DEVICE_KEY, NAME, owner, deadline());
        expectError(abi.encodeWithSelector(IFeedLedger.FeedExists.selector, feed));
        open(NAME, PRICE, payout, deadline(), consent);
    }

    function test_RevertWhen_TheNameIsNotPaddedPrintableAscii() public {
        bytes32[5] memory names =
            [bytes32(0), bytes32("tab\t"), bytes32(hex"6100620000"), bytes32(hex"c3a9"), bytes32(hex"7f")];
        for (uint256 i; i < names.length; ++i) {
            bytes memory consent = consentOf(DEVICE_KEY, names[i], owner, deadline());
            expectError(abi.encodeWithSelector(IFeedLedger.InvalidName.selector, names[i]));
            open(names[i], PRICE, payout, deadline(), consent);
        }
    }

    function test_AcceptsNamesOfOneAndOf32Characters() public {
        open("a", PRICE, payout, deadline(), consentOf(DEVICE_KEY, "a", owner, deadline()));
        bytes32 longest = "abcdefghijklmnopqrstuvwxyz ~0123";
        open(longest, PRICE, payout, deadline(), consentOf(DEVICE_KEY, longest, owner, deadline()));
    }

    function test_RevertWhen_ThePriceIsZero() public {
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, deadline());
        expectError(abi.encodeWithSelector(IFeedLedger.ZeroPrice.selector));
        open(SECOND, 0, payout, deadline(), consent);
    }

    function test_RevertWhen_ThePayoutIsZero() public {
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, deadline());
        expectError(abi.encodeWithSelector(IFeedLedger.ZeroAddress.selector));
        open(SECOND, PRICE, address(0), deadline(), consent);
    }

    function test_ConsentIsGoodUpToItsDeadline() public {
        uint64 until = uint64(START + 100);
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, until);
        at(101);
        expectError(abi.encodeWithSelector(IFeedLedger.DeadlinePassed.selector, START + 101, until));
        open(SECOND, PRICE, payout, until, consent);
        at(100);
        open(SECOND, PRICE, payout, until, consent);
    }

    function test_RevertWhen_AnotherKeyConsents() public {
        bytes memory consent = sign(OTHER_DEVICE_KEY, authorizationDigest(device, SECOND, owner, deadline()));
        expectError(abi.encodeWithSelector(IFeedLedger.InvalidDeviceSignature.selector, otherDevice, device));
        open(SECOND, PRICE, payout, deadline(), consent);
    }

    function test_RevertWhen_TheConsentIsForAnybodyOrAnythingElse() public {
        uint64 until = deadline();
        bytes32[5] memory digests = [
            authorizationDigest(device, SECOND, stranger, until),
            authorizationDigest(device, NAME, owner, until),
            authorizationDigest(device, SECOND, owner, until + 1),
            Consent.digest(block.chainid + 1, address(ledger), device, SECOND, owner, until),
            Consent.digest(block.chainid, stranger, device, SECOND, owner, until)
        ];
        for (uint256 i; i < digests.length; ++i) {
            bytes memory consent = sign(DEVICE_KEY, digests[i]);
            vm.expectPartialRevert(IFeedLedger.InvalidDeviceSignature.selector);
            open(SECOND, PRICE, payout, until, consent);
        }
    }

    function test_RevertWhen_TheSignatureIsMalformed() public {
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, deadline());
        bytes[3] memory malformed = [bytes(""), new bytes(65), abi.encodePacked(consent, uint8(0))];
        for (uint256 i; i < malformed.length; ++i) {
            expectError(abi.encodeWithSelector(IFeedLedger.InvalidDeviceSignature.selector, address(0), device));
            open(SECOND, PRICE, payout, deadline(), malformed[i]);
        }
    }

    function test_RevertWhen_TheDeviceIsZero() public {
        expectError(abi.encodeWithSelector(IFeedLedger.InvalidDeviceSignature.selector, address(0), address(0)));
        vm.prank(owner);
        ledger.openFeed(address(0), SECOND, PRICE, payout, pauser, LISTING, deadline(), new bytes(65));
    }

    function test_ReportsItsDomain() public view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            IERC5267(address(ledger)).eip712Domain();
        assertEq(name, "Ashya");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(ledger));
    }
}
