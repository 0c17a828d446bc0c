// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev See trees/subscribe.tree.
contract SubscribeTest is LedgerTest {
    function buy(uint256 value, address beneficiary, uint64 duration, uint96 maxPrice, bytes32 listing) private {
        vm.prank(alice);
        ledger.subscribe{value: value}(feed, beneficiary, duration, maxPrice, listing);
    }

    function test_BeginsNow() public {
        at(1000);
        vm.expectEmit(address(ledger));
        emit IFeedLedger.SubscriptionSet(feed, bob, alice, PRICE, 1000, 4600);
        assertEq(subscribe(alice, bob, 3600), 4600);
        IFeedLedger.Subscription memory s = subscription(alice, bob);
        assertEq(s.price, PRICE);
        assertEq(s.start, 1000);
        assertEq(s.expiry, 4600);
        assertEq(address(ledger).balance, uint256(PRICE) * 3600);
    }

    function test_GiftsAreKeptApartByPayerAndBeneficiary() public {
        subscribe(alice, stranger, 60);
        subscribe(bob, stranger, 120);
        subscribe(alice, alice, 180);
        assertEq(subscription(alice, stranger).expiry, 60);
        assertEq(subscription(bob, stranger).expiry, 120);
        assertEq(subscription(alice, alice).expiry, 180);
        assertEq(cancel(alice, stranger), uint256(PRICE) * 60);
        assertEq(subscription(bob, stranger).expiry, 120);
    }

    function test_AnewAtTheSecondOfExpiry() public {
        subscribe(alice, alice, 100);
        at(99);
        expectError(abi.encodeWithSelector(IFeedLedger.SubscriptionLive.selector, 100, 99));
        buy(uint256(PRICE) * 60, alice, 60, PRICE, LISTING);
        at(100);
        subscribe(alice, alice, 60);
        assertEq(subscription(alice, alice).start, 100);
        assertEq(subscription(alice, alice).expiry, 160);
    }

    function test_AnewAfterACancel() public {
        subscribe(alice, alice, 1000);
        at(10);
        cancel(alice, alice);
        assertEq(subscribe(alice, alice, 1000), 1010);
    }

    function test_AcceptsAPriceBelowTheMaximum() public {
        buy(uint256(PRICE) * 60, alice, 60, type(uint96).max, LISTING);
    }

    function test_RevertWhen_ThePriceIsAboveTheMaximum() public {
        expectError(abi.encodeWithSelector(IFeedLedger.PriceAboveMax.selector, PRICE, PRICE - 1));
        buy(uint256(PRICE) * 60, alice, 60, PRICE - 1, LISTING);
    }

    function test_RevertWhen_TheListingChanged() public {
        bytes32 read = keccak256("what the buyer read");
        expectError(abi.encodeWithSelector(IFeedLedger.ListingMismatch.selector, LISTING, read));
        buy(uint256(PRICE) * 60, alice, 60, PRICE, read);
    }

    function test_RevertWhen_ThePaymentIsNotExact() public {
        uint256 exact = uint256(PRICE) * 60;
        uint256[3] memory values = [exact - 1, exact + 1, 0];
        for (uint256 i; i < values.length; ++i) {
            expectError(abi.encodeWithSelector(IFeedLedger.WrongPayment.selector, values[i], exact));
            buy(values[i], alice, 60, PRICE, LISTING);
        }
    }

    function test_DurationBounds() public {
        expectError(abi.encodeWithSelector(IFeedLedger.DurationOutOfBounds.selector, 59, 60, 366 days));
        buy(uint256(PRICE) * 59, alice, 59, PRICE, LISTING);
        expectError(abi.encodeWithSelector(IFeedLedger.DurationOutOfBounds.selector, 366 days + 1, 60, 366 days));
        buy(uint256(PRICE) * (366 days + 1), alice, 366 days + 1, PRICE, LISTING);
        subscribe(alice, alice, 60);
        subscribe(bob, bob, 366 days);
    }

    function test_RevertWhen_TheBeneficiaryIsZero() public {
        expectError(abi.encodeWithSelector(IFeedLedger.ZeroAddress.selector));
        buy(uint256(PRICE) * 60, address(0), 60, PRICE, LISTING);
    }

    function test_RevertWhen_TheFeedIsUnknown() public {
        expectUnknown(bytes32(0));
        vm.prank(alice);
        ledger.subscribe{value: 60}(bytes32(0), alice, 60, PRICE, LISTING);
    }

    function test_RevertWhen_EtherIsSentWithoutACall() public {
        vm.prank(alice);
        (bool success,) = address(ledger).call{value: 1}("");
        assertFalse(success);
    }
}
