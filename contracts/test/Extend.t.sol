// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev See trees/extend.tree.
contract ExtendTest is LedgerTest {
    function setUp() public override {
        super.setUp();
        subscribe(alice, alice, 1000);
    }

    function lengthen(uint256 value, uint64 duration) private {
        vm.prank(alice);
        ledger.extend{value: value}(feed, alice, duration);
    }

    function test_AddsToTheExpiry() public {
        at(400);
        vm.expectEmit(address(ledger));
        emit IFeedLedger.SubscriptionSet(feed, alice, alice, PRICE, 0, 8200);
        assertEq(extend(alice, alice, 7200), 8200);
        assertEq(subscription(alice, alice).start, 0);
        at(8199);
        assertEq(cancel(alice, alice), PRICE);
        assertEq(ledger.withdrawableOf(feed), uint256(PRICE) * 8199);
    }

    function test_WithinTheSameHour() public {
        extend(alice, alice, 100);
        at(3600);
        assertEq(withdraw(ALL), uint256(PRICE) * 1100);
        assertEq(address(ledger).balance, 0);
    }

    function test_LeavesTheOthersOfTheHourWhereTheyWere() public {
        subscribe(bob, bob, 2000);
        extend(alice, alice, 9000);
        at(4 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * 12_000);
        assertEq(address(ledger).balance, 0);
    }

    function test_RevertWhen_NotLive() public {
        at(1000);
        expectNotLive(1000, 1000);
        lengthen(uint256(PRICE) * 60, 60);
    }

    function test_RevertWhen_SomebodyElsePaid() public {
        expectNotLive(0, 0);
        vm.prank(bob);
        ledger.extend{value: uint256(PRICE) * 60}(feed, alice, 60);
    }

    function test_RevertWhen_ThePriceChanged() public {
        vm.prank(owner);
        ledger.setPrice(feed, PRICE + 1);
        expectError(abi.encodeWithSelector(IFeedLedger.PriceChanged.selector, PRICE, PRICE + 1));
        lengthen(uint256(PRICE) * 60, 60);
    }

    function test_RevertWhen_ThePaymentIsNotExact() public {
        expectError(abi.encodeWithSelector(IFeedLedger.WrongPayment.selector, 1, uint256(PRICE) * 60));
        lengthen(1, 60);
    }

    function test_DurationBounds() public {
        uint64 most = 366 days - 1000;
        expectError(abi.encodeWithSelector(IFeedLedger.DurationOutOfBounds.selector, 59, 60, most));
        lengthen(uint256(PRICE) * 59, 59);
        expectError(abi.encodeWithSelector(IFeedLedger.DurationOutOfBounds.selector, most + 1, 60, most));
        lengthen(uint256(PRICE) * (most + 1), most + 1);
        extend(alice, alice, most);
        assertEq(subscription(alice, alice).expiry, 366 days);
    }

    function test_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        vm.prank(alice);
        ledger.extend{value: 60}(bytes32(0), alice, 60);
    }
}
