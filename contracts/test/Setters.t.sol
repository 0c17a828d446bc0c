// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev See trees/setPrice.tree, setPayout.tree, setPauser.tree, setListing.tree and setDevice.tree.
contract SettersTest is LedgerTest {
    bytes32 private constant NEW_LISTING = keccak256("another listing");

    function expectFeedSet(address device_, uint96 price, address payout_, address pauser_, bytes32 listing) private {
        vm.expectEmit(address(ledger));
        emit IFeedLedger.FeedSet(feed, device_, price, payout_, pauser_, listing);
        vm.prank(owner);
    }

    function test_SetPrice_HoldsForNewSubscriptionsOnly() public {
        subscribe(alice, alice, 3600);
        expectFeedSet(device, 7, payout, pauser, LISTING);
        ledger.setPrice(feed, 7);
        assertEq(ledger.feedOf(feed).price, 7);
        assertEq(subscription(alice, alice).price, PRICE);
        subscribe(bob, bob, 3600);
        assertEq(subscription(bob, bob).price, 7);
    }

    function test_SetPrice_RevertWhen_Zero() public {
        expectError(abi.encodeWithSelector(IFeedLedger.ZeroPrice.selector));
        vm.prank(owner);
        ledger.setPrice(feed, 0);
    }

    function test_SetPayout() public {
        expectFeedSet(device, PRICE, bob, pauser, LISTING);
        ledger.setPayout(feed, bob);
        assertEq(ledger.feedOf(feed).payout, bob);
    }

    function test_SetPayout_RevertWhen_Zero() public {
        expectError(abi.encodeWithSelector(IFeedLedger.ZeroAddress.selector));
        vm.prank(owner);
        ledger.setPayout(feed, address(0));
    }

    function test_SetPauser_ZeroNamesNobody() public {
        expectFeedSet(device, PRICE, payout, address(0), LISTING);
        ledger.setPauser(feed, address(0));
        assertEq(ledger.feedOf(feed).pauser, address(0));
        expectUnauthorized(pauser);
        vm.prank(pauser);
        ledger.pause(feed);
    }

    function test_SetListing() public {
        expectFeedSet(device, PRICE, payout, pauser, NEW_LISTING);
        ledger.setListing(feed, NEW_LISTING);
        assertEq(ledger.feedOf(feed).listing, NEW_LISTING);
    }

    function test_SetDevice_KeepsTheFeed() public {
        subscribe(alice, alice, 3600);
        bytes memory consent = consentOf(OTHER_DEVICE_KEY, NAME, owner, deadline());
        expectFeedSet(otherDevice, PRICE, payout, pauser, LISTING);
        ledger.setDevice(feed, otherDevice, deadline(), consent);
        assertEq(ledger.feedOf(feed).device, otherDevice);
        assertEq(subscription(alice, alice).expiry, 3600);
    }

    function test_SetDevice_RevertWhen_AnotherKeyConsents() public {
        bytes memory consent = sign(DEVICE_KEY, authorizationDigest(otherDevice, NAME, owner, deadline()));
        expectError(abi.encodeWithSelector(IFeedLedger.InvalidDeviceSignature.selector, device, otherDevice));
        vm.prank(owner);
        ledger.setDevice(feed, otherDevice, deadline(), consent);
    }

    function test_SetDevice_RevertWhen_TheDeadlinePassed() public {
        uint64 until = uint64(START + 10);
        bytes memory consent = consentOf(OTHER_DEVICE_KEY, NAME, owner, until);
        at(11);
        expectError(abi.encodeWithSelector(IFeedLedger.DeadlinePassed.selector, START + 11, until));
        vm.prank(owner);
        ledger.setDevice(feed, otherDevice, until, consent);
    }

    function test_RevertWhen_TheCallerIsNotTheOwner() public {
        bytes[5] memory calls = setterCalls(feed);
        for (uint256 i; i < calls.length; ++i) {
            assertRefused(
                stranger, calls[i], abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, stranger, owner)
            );
            assertRefused(pauser, calls[i], abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, pauser, owner));
        }
    }

    function test_RevertWhen_TheFeedIsUnknown() public {
        bytes32 unknown = keccak256("unknown");
        bytes[5] memory calls = setterCalls(unknown);
        for (uint256 i; i < calls.length; ++i) {
            assertRefused(owner, calls[i], abi.encodeWithSelector(IFeedLedger.FeedUnknown.selector, unknown));
        }
    }

    function setterCalls(bytes32 id) private view returns (bytes[5] memory) {
        bytes memory consent = consentOf(OTHER_DEVICE_KEY, NAME, owner, deadline());
        return [
            abi.encodeCall(IFeedLedger.setPrice, (id, 7)),
            abi.encodeCall(IFeedLedger.setPayout, (id, bob)),
            abi.encodeCall(IFeedLedger.setPauser, (id, bob)),
            abi.encodeCall(IFeedLedger.setListing, (id, NEW_LISTING)),
            abi.encodeCall(IFeedLedger.setDevice, (id, otherDevice, deadline(), consent))
        ];
    }

    function assertRefused(address caller, bytes memory call_, bytes memory expected) private {
        vm.prank(caller);
        (bool success, bytes memory reason) = address(ledger).call(call_);
        assertFalse(success);
        assertEq(reason, expected);
    }
}
