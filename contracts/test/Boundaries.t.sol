// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev Edges that only mutants of the ledger showed to be untested.
contract BoundariesTest is LedgerTest {
    /// @dev Where {FeedLedger} keeps its feeds: two slots of {EIP712} come before.
    uint256 private constant FEEDS_SLOT = 2;

    function test_WithdrawWithNoBucketsPaysAllFullHoursWhenNoneIsUsed() public {
        subscribe(alice, alice, 10 hours);
        at(5 hours);
        assertEq(withdraw(0), uint256(PRICE) * 5 hours);
    }

    function test_WithdrawWithoutEarningsIsSilent() public {
        vm.prank(owner);
        ledger.setPayout(feed, address(ledger));
        vm.recordLogs();
        // The payout refuses money, which matters only when there is some.
        assertEq(withdraw(ALL), 0);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_OneOfManyLeavesAnHour() public {
        for (uint160 i = 1; i <= 3; ++i) {
            buy(vm.addr(i), 1000 * uint64(i));
        }
        at(100);
        vm.prank(vm.addr(2));
        ledger.cancel(feed, vm.addr(2), vm.addr(2));
        at(1 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * (1000 + 100 + 3000));
        assertEq(address(ledger).balance, 0);
        // Nobody is left, so nothing is earned any more.
        at(3 hours);
        assertEq(ledger.withdrawableOf(feed), 0);
    }

    function test_ASingleWeiIsPaid() public {
        bytes32 cheap = openFeed("cheap", 1);
        hoax(alice, 60);
        ledger.subscribe{value: 60}(cheap, alice, 60, 1, LISTING);
        skip(1);
        vm.prank(alice);
        ledger.cancel(cheap, alice, alice);
        assertEq(ledger.withdrawableOf(cheap), 1);
        vm.prank(owner);
        assertEq(ledger.withdraw(cheap, ALL), 1);
    }

    /// @dev A hundred days, so that marks in many words are set and cleared: none touches another.
    function test_LeavingAnHourUnmarksItAlone() public {
        for (uint64 i = 1; i <= 9; ++i) {
            buy(vm.addr(i), i * 256 hours + 1);
        }
        for (uint64 i = 1; i <= 9; ++i) {
            buy(vm.addr(100 + i), i * 200 hours);
            vm.prank(vm.addr(100 + i));
            ledger.cancel(feed, vm.addr(100 + i), vm.addr(100 + i));
        }
        at(100 days);
        // Nine hours are used, so nine steps reach the end, and none of them is empty.
        for (uint64 i = 1; i <= 9; ++i) {
            assertGt(withdraw(1), 0);
        }
        assertEq(address(ledger).balance, 0);
    }

    function test_OnlyUsedHoursCountAsBuckets() public {
        subscribe(alice, alice, 300 hours);
        at(301 hours);
        assertEq(withdraw(1), uint256(PRICE) * 300 hours);
    }

    function test_SettlingClearsTheHour() public {
        subscribe(alice, alice, 5 hours - 1);
        assertNotEq(bucketSlot(5), 0);
        assertEq(marksSlot(0), 1 | 1 << 5);
        at(5 hours);
        ledger.settle(feed, 1);
        assertEq(bucketSlot(5), 0);
        assertEq(marksSlot(0), 1);
    }

    function test_TheLastToLeaveClearsTheHour() public {
        subscribe(alice, alice, 300 hours - 1);
        subscribe(bob, bob, 300 hours - 2);
        at(1);
        cancel(alice, alice);
        assertNotEq(bucketSlot(300), 0);
        assertEq(marksSlot(1), 1 << (300 - 256));
        cancel(bob, bob);
        assertEq(bucketSlot(300), 0);
        assertEq(marksSlot(1), 0);
    }

    function test_ExtendNamesWhoWatchesAndWhoPaid() public {
        subscribe(alice, bob, 1000);
        vm.expectEmit(address(ledger));
        emit IFeedLedger.SubscriptionSet(feed, bob, alice, PRICE, 0, 1100);
        extend(alice, bob, 100);
    }

    function buy(address who, uint64 duration) private {
        vm.deal(who, 1e24);
        subscribe(who, who, duration);
    }

    function bucketSlot(uint256 bucket) private view returns (uint256) {
        return slot(keccak256(abi.encode(bucket, uint256(bookSlot()) + 1)));
    }

    function marksSlot(uint256 word) private view returns (uint256) {
        return slot(keccak256(abi.encode(word, uint256(bookSlot()) + 2)));
    }

    function bookSlot() private view returns (bytes32) {
        return bytes32(uint256(keccak256(abi.encode(feed, FEEDS_SLOT))) + 1);
    }

    function slot(bytes32 at_) private view returns (uint256) {
        return uint256(vm.load(address(ledger), at_));
    }
}
