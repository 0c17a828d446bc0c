// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev Ten thousand subscribers cost a newcomer, a leaver and the provider's pause no more than one does.
contract ScaleTest is LedgerTest {
    uint256 private constant MANY = 10_000;

    function test_SubscribeAndCancelCostTheSameAt10000Subscribers() public {
        fill(0, 1);
        (uint256 subscribeAt1, uint256 cancelAt1) = costs(11);
        fill(1, MANY);
        (uint256 subscribeAtMany, uint256 cancelAtMany) = costs(12);
        assertWithinOnePercent("subscribe", subscribeAtMany, subscribeAt1);
        assertWithinOnePercent("cancel", cancelAtMany, cancelAt1);
    }

    function test_SubscribeAndCancelCostTheSameAfterAYearUnsettled() public {
        fill(0, 100);
        (uint256 subscribeEarly, uint256 cancelEarly) = costs(11);
        at(365 days);
        fill(100, 101);
        (uint256 subscribeLate, uint256 cancelLate) = costs(12);
        assertWithinOnePercent("subscribe", subscribeLate, subscribeEarly);
        assertWithinOnePercent("cancel", cancelLate, cancelEarly);
    }

    function test_OnePauseFreezes10000Subscriptions() public {
        fill(0, MANY);
        at(1 hours + 17);
        uint64 time = feedTime();
        uint256 earned = ledger.withdrawableOf(feed);
        uint256 before = gasleft();
        paused();
        assertLt(before - gasleft(), 100_000, "one pause, whatever the number");
        at(1 hours + 17 + 1 days);
        assertEq(feedTime(), time, "remaining seconds are expiry - feedTime");
        assertEq(ledger.withdrawableOf(feed), earned, "earnings stood still");
        for (uint256 i; i < MANY; ++i) {
            address who = person(i);
            IFeedLedger.Subscription memory s = subscription(who, who);
            assertEq(s.expiry, expiryOf(i));
            assertEq(cancel(who, who), uint256(PRICE) * (expiryOf(i) - time));
        }
        // What is left was earned before the pause, to the second.
        assertEq(withdraw(ALL), uint256(PRICE) * MANY * time);
        assertEq(address(ledger).balance, 0);
    }

    function test_AfterAPauseEveryOneOf10000GetsTheSecondsOfTheDayBack() public {
        fill(0, MANY);
        at(1 hours + 17);
        paused();
        at(1 hours + 17 + 1 days);
        resumed();
        for (uint256 i; i < MANY; ++i) {
            address who = person(i);
            assertEq(cancel(who, who), uint256(PRICE) * (expiryOf(i) - (1 hours + 17)));
        }
        assertEq(withdraw(ALL), uint256(PRICE) * MANY * (1 hours + 17));
        assertEq(address(ledger).balance, 0);
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function fill(uint256 from, uint256 to) private {
        for (uint256 i = from; i < to; ++i) {
            uint64 duration = i == 0 || from >= 100 ? 2 hours : expiryOf(i);
            address who = person(i);
            vm.deal(who, uint256(PRICE) * duration);
            vm.prank(who);
            ledger.subscribe{value: uint256(PRICE) * duration}(feed, who, duration, PRICE, LISTING);
        }
    }

    /// @dev From two hours to a month ahead, at every second of an hour.
    function expiryOf(uint256 i) private pure returns (uint64) {
        return i == 0 ? 2 hours : uint64(2 hours + (i * 7919) % 30 days);
    }

    function person(uint256 i) private pure returns (address) {
        return address(uint160(0x10000000 + i));
    }

    /// @dev Of a newcomer who ends in an hour that is used already, from cold storage, and of leaving it again.
    function costs(uint160 who) private returns (uint256 subscribing, uint256 leaving) {
        address newcomer = address(0x20000000 + who);
        vm.deal(newcomer, 1e18);
        cool(newcomer);
        vm.prank(newcomer);
        ledger.subscribe{value: uint256(PRICE) * 2 hours}(feed, newcomer, 2 hours, PRICE, LISTING);
        subscribing = vm.lastCallGas().gasTotalUsed;
        cool(newcomer);
        vm.prank(newcomer);
        ledger.cancel(feed, newcomer, newcomer);
        leaving = vm.lastCallGas().gasTotalUsed;
    }

    function cool(address who) private {
        vm.cool(address(ledger));
        vm.cool(who);
    }

    function assertWithinOnePercent(string memory what, uint256 actual, uint256 expected) private {
        emit log_named_uint(string.concat(what, " before"), expected);
        emit log_named_uint(string.concat(what, " after"), actual);
        assertApproxEqRel(actual, expected, 0.01e18, what);
    }
}
