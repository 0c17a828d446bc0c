// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev See trees/transferFeed.tree and trees/acceptFeed.tree.
contract TransferTest is LedgerTest {
    function offer(address to) private {
        vm.prank(owner);
        ledger.transferFeed(feed, to);
    }

    function test_Transfer_OffersAndChangesNothingElse() public {
        vm.expectEmit(address(ledger));
        emit IFeedLedger.FeedTransferStarted(feed, owner, bob);
        offer(bob);
        IFeedLedger.FeedView memory f = ledger.feedOf(feed);
        assertEq(f.pendingOwner, bob);
        assertEq(f.owner, owner);
        assertEq(f.payout, payout);
    }

    function test_Transfer_ZeroTakesTheOfferBack() public {
        offer(bob);
        offer(address(0));
        expectError(abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, bob, address(0)));
        vm.prank(bob);
        ledger.acceptFeed(feed);
    }

    function test_Transfer_RevertWhen_TheCallerIsNotTheOwner() public {
        expectUnauthorized(stranger);
        vm.prank(stranger);
        ledger.transferFeed(feed, stranger);
    }

    function test_Transfer_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        vm.prank(owner);
        ledger.transferFeed(bytes32(0), bob);
    }

    function test_Accept_ResetsPayoutAndPauserAndTakesTheUnpaidEarnings() public {
        subscribe(alice, alice, 3600);
        at(3600);
        offer(bob);
        vm.expectEmit(address(ledger));
        emit IFeedLedger.FeedTransferred(feed, owner, bob);
        vm.expectEmit(address(ledger));
        emit IFeedLedger.FeedSet(feed, device, PRICE, bob, address(0), LISTING);
        vm.prank(bob);
        ledger.acceptFeed(feed);
        IFeedLedger.FeedView memory f = ledger.feedOf(feed);
        assertEq(f.owner, bob);
        assertEq(f.pendingOwner, address(0));
        assertEq(f.payout, bob);
        assertEq(f.pauser, address(0));

        uint256 before = bob.balance;
        vm.prank(bob);
        assertEq(ledger.withdraw(feed, ALL), 3600 * uint256(PRICE));
        assertEq(bob.balance - before, 3600 * uint256(PRICE));
        expectError(abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, owner, bob));
        withdraw(ALL);
    }

    function test_Accept_RevertWhen_TheCallerWasNotOfferedIt() public {
        offer(bob);
        expectError(abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, stranger, bob));
        vm.prank(stranger);
        ledger.acceptFeed(feed);
    }

    function test_Accept_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        vm.prank(bob);
        ledger.acceptFeed(bytes32(0));
    }

    function test_TheNewOwnerLiftsAPauseOfTheOldPauser() public {
        vm.prank(pauser);
        ledger.pause(feed);
        offer(bob);
        vm.prank(bob);
        ledger.acceptFeed(feed);
        vm.prank(bob);
        ledger.resume(feed);
        assertEq(ledger.clockOf(feed).pausedAt, 0);
    }
}
