// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev Every cell of the table of states: open, paused and retired, against what may be done. Alice holds a live
/// subscription of ten hours, and the state was entered 1,800 seconds after the feed was opened.
contract StateTableTest is LedgerTest {
    uint256 private constant ENTERED = 1800;
    uint64 private constant BOUNDARY = 3600;

    function setUp() public override {
        super.setUp();
        subscribe(alice, alice, 10 hours);
        at(ENTERED);
    }

    // -------------------------------------------------------------------------------------------------- open

    function test_Open_Subscribe() public {
        assertEq(subscribe(bob, bob, 3600), ENTERED + 3600);
    }

    function test_Open_SubscribeIsRefusedWhileOneIsLive() public {
        expectError(abi.encodeWithSelector(IFeedLedger.SubscriptionLive.selector, 36_000, ENTERED));
        tryToSubscribe(alice);
    }

    function test_Open_Extend() public {
        assertEq(extend(alice, alice, 3600), 11 hours);
    }

    function test_Open_ExtendIsRefusedAtAnotherPrice() public {
        vm.prank(owner);
        ledger.setPrice(feed, 5);
        expectError(abi.encodeWithSelector(IFeedLedger.PriceChanged.selector, PRICE, 5));
        tryToExtend();
    }

    function test_Open_Cancel() public {
        assertEq(cancel(alice, alice), uint256(PRICE) * (10 hours - ENTERED));
    }

    function test_Open_Withdraw() public {
        at(3600);
        assertEq(withdraw(ALL), uint256(PRICE) * 3600);
    }

    function test_Open_Pause() public {
        paused();
        assertEq(ledger.clockOf(feed).pausedAt, START + ENTERED);
    }

    function test_Open_ResumeIsRefused() public {
        expectError(abi.encodeWithSelector(IFeedLedger.FeedNotPaused.selector, feed));
        resumed();
    }

    function test_Open_Setters() public {
        setAllAndCheck();
    }

    // ------------------------------------------------------------------------------------------------ paused

    function test_Paused_SubscribeIsRefused() public {
        paused();
        expectPaused(uint64(START + ENTERED));
        tryToSubscribe(bob);
    }

    function test_Paused_ExtendIsRefused() public {
        paused();
        expectPaused(uint64(START + ENTERED));
        tryToExtend();
    }

    function test_Paused_CancelIsExact() public {
        paused();
        at(100 days);
        assertEq(cancel(alice, alice), uint256(PRICE) * (10 hours - ENTERED));
        assertEq(withdraw(ALL), uint256(PRICE) * ENTERED);
        assertEq(address(ledger).balance, 0);
    }

    function test_Paused_Withdraw() public {
        at(BOUNDARY);
        paused();
        at(100 days);
        assertEq(withdraw(ALL), uint256(PRICE) * BOUNDARY);
    }

    function test_Paused_PauseIsRefused() public {
        paused();
        expectPaused(uint64(START + ENTERED));
        paused();
    }

    function test_Paused_ResumeByRule() public {
        vm.prank(pauser);
        ledger.pause(feed);
        vm.prank(pauser);
        ledger.resume(feed);
        paused();
        expectUnauthorized(pauser);
        vm.prank(pauser);
        ledger.resume(feed);
        resumed();
    }

    function test_Paused_Setters() public {
        paused();
        setAllAndCheck();
    }

    // ----------------------------------------------------------------------------------------------- retired

    function test_Retired_SubscribeIsRefused() public {
        retired();
        expectRetired(BOUNDARY);
        tryToSubscribe(bob);
    }

    function test_Retired_ExtendIsRefused() public {
        retired();
        expectRetired(BOUNDARY);
        tryToExtend();
    }

    function test_Retired_CancelIsExactBeforeTheBoundary() public {
        retired();
        at(BOUNDARY - 1);
        assertEq(cancel(alice, alice), uint256(PRICE) * (10 hours - (BOUNDARY - 1)));
    }

    function test_Retired_CancelIsExactAfterTheBoundary() public {
        retired();
        at(1000 days);
        assertEq(cancel(alice, alice), uint256(PRICE) * 9 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * BOUNDARY);
        assertEq(address(ledger).balance, 0);
    }

    function test_Retired_CancelIsExactAfterAWithdrawal() public {
        retired();
        at(1000 days);
        assertEq(withdraw(ALL), uint256(PRICE) * BOUNDARY);
        assertEq(cancel(alice, alice), uint256(PRICE) * 9 hours);
        assertEq(address(ledger).balance, 0);
    }

    function test_Retired_Withdraw() public {
        retired();
        at(BOUNDARY);
        assertEq(withdraw(ALL), uint256(PRICE) * BOUNDARY);
        at(1000 days);
        assertEq(withdraw(ALL), 0);
    }

    function test_Retired_PauseIsRefused() public {
        retired();
        expectRetired(BOUNDARY);
        paused();
        expectRetired(BOUNDARY);
        vm.prank(pauser);
        ledger.pause(feed);
    }

    function test_Retired_TheOwnerResumesToReachTheBoundary() public {
        paused();
        retired();
        at(10 days);
        resumed();
        assertEq(feedTime(), ENTERED);
        at(20 days);
        assertEq(feedTime(), BOUNDARY);
    }

    function test_Retired_ThePauserDoesNotResume() public {
        vm.prank(pauser);
        ledger.pause(feed);
        retired();
        expectUnauthorized(pauser);
        vm.prank(pauser);
        ledger.resume(feed);
    }

    function test_Retired_SetPayout() public {
        retired();
        vm.prank(owner);
        ledger.setPayout(feed, bob);
        assertEq(ledger.feedOf(feed).payout, bob);
    }

    function test_Retired_TheOtherSettersAreRefused() public {
        retired();
        bytes memory consent = consentOf(OTHER_DEVICE_KEY, NAME, owner, deadline());
        vm.startPrank(owner);
        expectRetired(BOUNDARY);
        ledger.setPrice(feed, 5);
        expectRetired(BOUNDARY);
        ledger.setPauser(feed, bob);
        expectRetired(BOUNDARY);
        ledger.setListing(feed, bytes32(0));
        expectRetired(BOUNDARY);
        ledger.setDevice(feed, otherDevice, deadline(), consent);
    }

    function test_Retired_ChangesHandsStill() public {
        retired();
        vm.prank(owner);
        ledger.transferFeed(feed, bob);
        vm.prank(bob);
        ledger.acceptFeed(feed);
        assertEq(ledger.feedOf(feed).owner, bob);
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function tryToSubscribe(address who) private {
        vm.prank(who);
        ledger.subscribe{value: uint256(PRICE) * 3600}(feed, who, 3600, PRICE, LISTING);
    }

    function tryToExtend() private {
        vm.prank(alice);
        ledger.extend{value: uint256(PRICE) * 3600}(feed, alice, 3600);
    }

    function setAllAndCheck() private {
        bytes memory consent = consentOf(OTHER_DEVICE_KEY, NAME, owner, deadline());
        vm.startPrank(owner);
        ledger.setPrice(feed, 5);
        ledger.setPayout(feed, bob);
        ledger.setPauser(feed, alice);
        ledger.setListing(feed, keccak256("new"));
        ledger.setDevice(feed, otherDevice, deadline(), consent);
        IFeedLedger.FeedView memory f = ledger.feedOf(feed);
        assertEq(f.price, 5);
        assertEq(f.payout, bob);
        assertEq(f.pauser, alice);
        assertEq(f.listing, keccak256("new"));
        assertEq(f.device, otherDevice);
    }
}
