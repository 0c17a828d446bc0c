// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev See trees/cancel.tree.
contract CancelTest is LedgerTest {
    function test_PaysBackEverySecondThatWasNotUsed() public {
        subscribe(alice, bob, 10_000);
        at(3700);
        vm.expectEmit(address(ledger));
        emit IFeedLedger.SubscriptionSet(feed, bob, alice, PRICE, 0, 3700);
        vm.prank(alice);
        assertEq(ledger.cancel(feed, bob, stranger), uint256(PRICE) * 6300);
        assertEq(stranger.balance, uint256(PRICE) * 6300);
        assertEq(subscription(alice, bob).expiry, 3700);
        // The cancelled seconds are no longer a guess, so the provider has them at once.
        assertEq(withdraw(ALL), uint256(PRICE) * 3700);
        assertEq(address(ledger).balance, 0);
    }

    function test_InTheSecondOfThePurchasePaysBackAll() public {
        subscribe(alice, alice, 10_000);
        assertEq(cancel(alice, alice), uint256(PRICE) * 10_000);
        assertEq(address(ledger).balance, 0);
    }

    function test_AfterTheHoursWereSettledIsExact() public {
        subscribe(alice, alice, 10 hours);
        at(5 hours + 17);
        assertEq(withdraw(ALL), uint256(PRICE) * 5 hours);
        assertEq(cancel(alice, alice), uint256(PRICE) * (5 hours - 17));
        assertEq(withdraw(ALL), uint256(PRICE) * 17);
        assertEq(address(ledger).balance, 0);
    }

    function test_LeavesTheOthersOfTheHourWhereTheyWere() public {
        subscribe(alice, alice, 1000);
        subscribe(bob, bob, 2000);
        at(500);
        cancel(alice, alice);
        at(3600);
        assertEq(withdraw(ALL), uint256(PRICE) * 2500);
        assertEq(address(ledger).balance, 0);
    }

    function test_RevertWhen_NotLive() public {
        subscribe(alice, alice, 1000);
        at(1000);
        expectNotLive(1000, 1000);
        cancel(alice, alice);
    }

    function test_RevertWhen_CancelledBefore() public {
        subscribe(alice, alice, 1000);
        at(7);
        cancel(alice, alice);
        expectNotLive(7, 7);
        cancel(alice, alice);
    }

    function test_RevertWhen_TheCallerDidNotPay() public {
        subscribe(alice, bob, 1000);
        expectNotLive(0, 0);
        cancel(bob, bob);
    }

    function test_RevertWhen_ToIsZero() public {
        subscribe(alice, alice, 1000);
        expectError(abi.encodeWithSelector(IFeedLedger.ZeroAddress.selector));
        vm.prank(alice);
        ledger.cancel(feed, alice, address(0));
    }

    function test_RevertWhen_ToRefusesTheMoney() public {
        subscribe(alice, alice, 1000);
        // The ledger itself takes no plain ETH.
        expectError(abi.encodeWithSelector(IFeedLedger.PaymentFailed.selector, address(ledger), uint256(PRICE) * 1000));
        vm.prank(alice);
        ledger.cancel(feed, alice, address(ledger));
    }

    function test_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        ledger.cancel(bytes32(0), alice, alice);
    }
}
