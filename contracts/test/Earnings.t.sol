// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev See trees/withdraw.tree, trees/settle.tree and trees/withdrawableOf.tree.
contract EarningsTest is LedgerTest {
    function test_Withdraw_PaysFullHoursOnly() public {
        subscribe(alice, alice, 10 hours);
        at(3599);
        assertEq(withdraw(ALL), 0);
        at(7300);
        vm.expectEmit(address(ledger));
        emit IFeedLedger.Withdrawn(feed, payout, uint256(PRICE) * 7200);
        assertEq(withdraw(ALL), uint256(PRICE) * 7200);
        assertEq(payout.balance, uint256(PRICE) * 7200);
        assertEq(withdraw(ALL), 0);
    }

    function test_Withdraw_PaysExactlyWhenAllHasEnded() public {
        at(123);
        subscribe(alice, alice, 4567);
        at(1777);
        subscribe(bob, bob, 61);
        at(3 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * (4567 + 61));
        assertEq(address(ledger).balance, 0);
    }

    function test_Withdraw_IsHeldBackByWhoCameInTheRunningHour() public {
        subscribe(alice, alice, 2 hours);
        at(3600 + 1800);
        subscribe(bob, bob, 10 hours);
        // Bob's 1,800 unearned seconds of this hour are subtracted until the hour is over: safe, never too much.
        assertEq(withdraw(ALL), uint256(PRICE) * 1800);
        at(7200);
        assertEq(withdraw(ALL), uint256(PRICE) * (1800 + 3600 + 1800));
    }

    function test_Withdraw_PaysNothingWhileTheCarryIsNegative() public {
        at(1800);
        subscribe(alice, alice, 10 hours);
        assertEq(withdraw(ALL), 0);
        assertEq(ledger.withdrawableOf(feed), 0);
        at(3600);
        assertEq(withdraw(ALL), uint256(PRICE) * 1800);
    }

    function test_Withdraw_InStepsPaysTheSame() public {
        for (uint64 i = 1; i <= 5; ++i) {
            address who = vm.addr(i);
            vm.deal(who, 1e18);
            subscribe(who, who, i * 5000);
        }
        at(10 hours);
        uint256 all = ledger.withdrawableOf(feed);
        uint256 paid;
        for (uint256 i; i < 5; ++i) {
            uint256 step = withdraw(1);
            assertGt(step, 0);
            paid += step;
        }
        assertEq(paid, all);
        assertEq(paid, uint256(PRICE) * 75_000);
        assertEq(address(ledger).balance, 0);
    }

    function test_Withdraw_WithNoBucketsGoesUpToTheFirstUsedOne() public {
        subscribe(alice, alice, 9000);
        at(10 hours);
        assertEq(withdraw(0), uint256(PRICE) * 7200);
        assertEq(withdraw(0), 0);
        assertEq(withdraw(1), uint256(PRICE) * 1800);
    }

    function test_Withdraw_AcrossManyEmptyWords() public {
        subscribe(alice, alice, 366 days);
        subscribe(bob, bob, 200 days + 5);
        at(400 days);
        assertEq(withdraw(ALL), uint256(PRICE) * (566 days + 5));
        assertEq(address(ledger).balance, 0);
    }

    function test_Withdraw_AtTheEdgesOfAWord() public {
        // Buckets 255, 256 and 257 are the last of one word and the first of the next.
        for (uint64 i = 255; i <= 257; ++i) {
            address who = vm.addr(i);
            vm.deal(who, 1e18);
            subscribe(who, who, i * 3600);
        }
        at(255 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * 3 * 255 hours);
        at(256 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * 2 hours);
        at(257 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * 1 hours);
        assertEq(address(ledger).balance, 0);
    }

    function test_Withdraw_RevertWhen_TheCallerIsNotTheOwner() public {
        expectUnauthorized(payout);
        vm.prank(payout);
        ledger.withdraw(feed, ALL);
    }

    function test_Withdraw_RevertWhen_ThePayoutRefusesTheMoney() public {
        subscribe(alice, alice, 3600);
        vm.prank(owner);
        ledger.setPayout(feed, address(ledger));
        at(3600);
        expectError(abi.encodeWithSelector(IFeedLedger.PaymentFailed.selector, address(ledger), uint256(PRICE) * 3600));
        withdraw(ALL);
        vm.prank(owner);
        ledger.setPayout(feed, payout);
        assertEq(withdraw(ALL), uint256(PRICE) * 3600);
    }

    function test_Withdraw_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        ledger.withdraw(bytes32(0), ALL);
    }

    function test_Settle_ByAnyoneInStepsKeepsEveryWei() public {
        subscribe(alice, alice, 3600);
        subscribe(bob, bob, 7200);
        at(10 hours);
        uint256 all = ledger.withdrawableOf(feed);
        vm.prank(stranger);
        ledger.settle(feed, 1);
        assertEq(ledger.withdrawableOf(feed), all);
        vm.prank(stranger);
        ledger.settle(feed, 1);
        assertEq(ledger.withdrawableOf(feed), all);
        assertEq(withdraw(0), all);
        assertEq(all, uint256(PRICE) * 10_800);
    }

    function test_Settle_NeverPassesTheLastFullHour() public {
        subscribe(alice, alice, 7200);
        at(7199);
        ledger.settle(feed, ALL);
        assertEq(cancel(alice, alice), PRICE);
        assertEq(withdraw(ALL), uint256(PRICE) * 7199);
    }

    function test_Settle_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        ledger.settle(bytes32(0), ALL);
    }

    function test_WithdrawableOf_IsWhatAWithdrawPays() public {
        subscribe(alice, alice, 4000);
        subscribe(bob, bob, 40_000);
        for (uint256 hour; hour < 14; ++hour) {
            at(hour * 3600 + 11);
            assertEq(ledger.withdrawableOf(feed), withdraw(ALL));
        }
    }

    function test_Views_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        ledger.withdrawableOf(bytes32(0));
        expectUnknown(bytes32(0));
        ledger.feedOf(bytes32(0));
        expectUnknown(bytes32(0));
        ledger.clockOf(bytes32(0));
        assertEq(ledger.subscriptionOf(bytes32(0), alice, alice).expiry, 0);
    }
}
