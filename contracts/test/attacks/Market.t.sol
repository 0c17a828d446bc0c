// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {stdError} from "forge-std/Test.sol";
import {IFeedLedger} from "../../src/IFeedLedger.sol";
import {LedgerTest} from "../LedgerTest.sol";

/// @dev Attacks on the price, the listing, the durations and the sums.
contract MarketAttack is LedgerTest {
    function tryToSubscribe(uint64 duration, uint256 value) private {
        vm.prank(alice);
        ledger.subscribe{value: value}(feed, alice, duration, PRICE, LISTING);
    }

    function tryToExtend(uint64 duration) private {
        vm.prank(alice);
        ledger.extend{value: uint256(PRICE) * duration}(feed, alice, duration);
    }

    function setPrice(uint96 price) private {
        vm.prank(owner);
        ledger.setPrice(feed, price);
    }

    function test_ThePriceIsRaisedInFrontOfABuyer() public {
        setPrice(PRICE + 1);
        // Even a buyer who sends enough for the new price has not agreed to it.
        expectError(abi.encodeWithSelector(IFeedLedger.PriceAboveMax.selector, PRICE + 1, PRICE));
        tryToSubscribe(3600, (uint256(PRICE) + 1) * 3600);
    }

    function test_TheListingIsChangedInFrontOfABuyer() public {
        bytes32 worse = keccak256("a worse listing");
        vm.prank(owner);
        ledger.setListing(feed, worse);
        expectError(abi.encodeWithSelector(IFeedLedger.ListingMismatch.selector, worse, LISTING));
        tryToSubscribe(3600, uint256(PRICE) * 3600);
    }

    function test_DurationsBelowAndAboveTheLimits() public {
        uint64[4] memory durations = [0, 59, 366 days + 1, type(uint64).max];
        vm.deal(alice, type(uint128).max);
        for (uint256 i; i < durations.length; ++i) {
            expectError(abi.encodeWithSelector(IFeedLedger.DurationOutOfBounds.selector, durations[i], 60, 366 days));
            tryToSubscribe(durations[i], uint256(PRICE) * durations[i]);
        }
        subscribe(alice, alice, 60);
        subscribe(bob, bob, 366 days);
    }

    function test_TheExpiryCannotOverflow() public {
        subscribe(alice, alice, 3600);
        vm.deal(alice, type(uint128).max);
        uint64 most = 366 days - 3600;
        uint64[3] memory durations = [most + 1, type(uint64).max, type(uint64).max - 3600 + 1];
        for (uint256 i; i < durations.length; ++i) {
            expectError(abi.encodeWithSelector(IFeedLedger.DurationOutOfBounds.selector, durations[i], 60, most));
            tryToExtend(durations[i]);
        }
        assertEq(extend(alice, alice, most), 366 days);
    }

    /// @dev Step by step to the far end of the clock, the sums hold and the end is never out of reach.
    function test_AnExpiryFarInTheFutureIsExact() public {
        at(type(uint40).max / 2 - START);
        uint64 time = feedTime();
        assertEq(subscribe(alice, alice, 366 days), time + 366 days);
        at(time + 100 days);
        assertEq(cancel(alice, alice), uint256(PRICE) * 266 days);
    }

    /// @dev More ETH than there is would be needed; and then the sum reverts and takes nobody's money.
    function test_TheRateSumCannotOverflow() public {
        setPrice(type(uint96).max);
        vm.deal(alice, type(uint160).max);
        vm.deal(bob, type(uint160).max);
        subscribe(alice, alice, 60);
        vm.expectRevert(stdError.arithmeticError);
        vm.prank(bob);
        ledger.subscribe{value: uint256(type(uint96).max) * 60}(feed, bob, 60, type(uint96).max, LISTING);
        assertEq(cancel(alice, alice), uint256(type(uint96).max) * 60);
        setPrice(1);
        subscribe(bob, bob, 60);
    }

    function test_TheHighestPriceForTheLongestTimeIsExact() public {
        setPrice(type(uint96).max);
        vm.deal(alice, type(uint160).max);
        subscribe(alice, alice, 366 days);
        at(366 days - 1);
        assertEq(cancel(alice, alice), type(uint96).max);
        assertEq(withdraw(ALL), uint256(type(uint96).max) * (366 days - 1));
    }

    function test_CancelTwice() public {
        subscribe(alice, alice, 3600);
        subscribe(bob, bob, 3600);
        at(100);
        cancel(alice, alice);
        expectNotLive(100, 100);
        cancel(alice, alice);
        assertEq(address(ledger).balance, uint256(PRICE) * 3700);
    }

    function test_ExtendAfterExpiry() public {
        subscribe(alice, alice, 3600);
        at(3600);
        expectNotLive(3600, 3600);
        tryToExtend(60);
    }

    function test_ExtendAfterACancel() public {
        subscribe(alice, alice, 3600);
        at(10);
        cancel(alice, alice);
        expectNotLive(10, 10);
        tryToExtend(60);
    }

    function test_ExtendAfterAPriceChange() public {
        subscribe(alice, alice, 3600);
        uint96[2] memory prices = [PRICE - 1, PRICE + 1];
        for (uint256 i; i < prices.length; ++i) {
            setPrice(prices[i]);
            expectError(abi.encodeWithSelector(IFeedLedger.PriceChanged.selector, PRICE, prices[i]));
            tryToExtend(3600);
        }
        setPrice(PRICE);
        extend(alice, alice, 3600);
    }

    /// @dev Alice gives to Bob and has herself refunded; Bob bought for himself; a stranger receives Alice's refund.
    function test_GiftAndRefundToDifferentWallets() public {
        subscribe(alice, bob, 3600);
        subscribe(bob, bob, 7200);
        at(600);
        uint256 bobs = bob.balance;
        expectNotLive(0, 600);
        vm.prank(bob);
        ledger.cancel(feed, alice, bob);
        vm.prank(alice);
        assertEq(ledger.cancel(feed, bob, stranger), uint256(PRICE) * 3000);
        assertEq(stranger.balance, uint256(PRICE) * 3000);
        assertEq(bob.balance, bobs);
        assertEq(subscription(bob, bob).expiry, 7200);
    }
}
