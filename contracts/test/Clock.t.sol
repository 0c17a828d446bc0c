// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev See trees/pause.tree, trees/resume.tree and trees/retire.tree.
contract ClockTest is LedgerTest {
    function expectClock(uint64 pausedAt, uint64 pausedTotal, address pausedBy, uint64 retiresAt) private {
        vm.expectEmit(address(ledger));
        emit IFeedLedger.FeedClock(feed, pausedAt, pausedTotal, pausedBy, retiresAt);
    }

    function test_Pause_StopsFeedTimeForEveryone() public {
        subscribe(alice, alice, 3600);
        at(100);
        expectClock(uint64(START + 100), 0, owner, 0);
        paused();
        at(10_000);
        assertEq(feedTime(), 100);
        expectClock(0, 9900, address(0), 0);
        resumed();
        assertEq(feedTime(), 100);
        at(10_001);
        assertEq(feedTime(), 101);
        assertEq(cancel(alice, alice), uint256(PRICE) * 3499);
    }

    function test_Pause_ByThePauser() public {
        expectClock(uint64(START), 0, pauser, 0);
        vm.prank(pauser);
        ledger.pause(feed);
    }

    function test_Pause_RevertWhen_TheCallerMayNot() public {
        expectUnauthorized(stranger);
        vm.prank(stranger);
        ledger.pause(feed);
    }

    function test_Pause_RevertWhen_Paused() public {
        paused();
        at(5);
        expectPaused(uint64(START));
        vm.prank(pauser);
        ledger.pause(feed);
    }

    function test_Pause_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        ledger.pause(bytes32(0));
    }

    function test_Resume_ThePauserLiftsItsOwnPause() public {
        vm.prank(pauser);
        ledger.pause(feed);
        vm.prank(pauser);
        ledger.resume(feed);
        assertEq(ledger.clockOf(feed).pausedAt, 0);
    }

    function test_Resume_TheOwnerLiftsAnyPause() public {
        vm.prank(pauser);
        ledger.pause(feed);
        resumed();
        assertEq(ledger.clockOf(feed).pausedBy, address(0));
    }

    function test_Resume_RevertWhen_ThePauserLiftsTheOwnersPause() public {
        paused();
        expectUnauthorized(pauser);
        vm.prank(pauser);
        ledger.resume(feed);
    }

    function test_Resume_RevertWhen_ThePauserWasReplaced() public {
        vm.prank(pauser);
        ledger.pause(feed);
        vm.prank(owner);
        ledger.setPauser(feed, bob);
        expectUnauthorized(pauser);
        vm.prank(pauser);
        ledger.resume(feed);
        expectUnauthorized(bob);
        vm.prank(bob);
        ledger.resume(feed);
    }

    function test_Resume_RevertWhen_NotPaused() public {
        expectError(abi.encodeWithSelector(IFeedLedger.FeedNotPaused.selector, feed));
        resumed();
    }

    function test_Resume_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        ledger.resume(bytes32(0));
    }

    function test_PausesAddUp() public {
        for (uint256 i; i < 3; ++i) {
            at(100 + 200 * i);
            paused();
            at(200 + 200 * i);
            resumed();
        }
        assertEq(ledger.clockOf(feed).pausedTotal, 300);
        at(1000);
        assertEq(feedTime(), 700);
    }

    function test_APauseOfNoLengthChangesNothing() public {
        at(50);
        paused();
        resumed();
        at(60);
        assertEq(feedTime(), 60);
    }

    function test_Retire_StopsTheClockAtTheNextHourBoundary() public {
        at(5000);
        expectClock(0, 0, address(0), 7200);
        retired();
        assertEq(feedTime(), 5000);
        at(7199);
        assertEq(feedTime(), 7199);
        at(7200);
        assertEq(feedTime(), 7200);
        at(1_000_000);
        assertEq(feedTime(), 7200);
    }

    function test_Retire_OnABoundaryTakesTheNext() public {
        at(3600);
        retired();
        assertEq(ledger.clockOf(feed).retiresAt, 7200);
    }

    function test_Retire_CountsFeedTimeNotChainTime() public {
        at(100);
        paused();
        at(9000);
        resumed();
        retired();
        assertEq(ledger.clockOf(feed).retiresAt, 3600);
    }

    function test_Retire_OfAPausedFeedWaitsForTheOwner() public {
        subscribe(alice, alice, 2 hours);
        at(1800);
        paused();
        retired();
        at(100_000);
        assertEq(feedTime(), 1800);
        assertEq(withdraw(ALL), 0);
        resumed();
        at(200_000);
        assertEq(feedTime(), 3600);
        assertEq(withdraw(ALL), uint256(PRICE) * 3600);
    }

    function test_Retire_RevertWhen_Retired() public {
        retired();
        expectRetired(3600);
        retired();
    }

    function test_Retire_RevertWhen_TheCallerIsNotTheOwner() public {
        expectUnauthorized(pauser);
        vm.prank(pauser);
        ledger.retire(feed);
    }

    function test_Retire_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        ledger.retire(bytes32(0));
    }
}
