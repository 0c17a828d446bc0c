// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {LedgerTest} from "./LedgerTest.sol";
import {MoneyHandler} from "./MoneyHandler.sol";

/// @dev The money, checked after every random step against a model that keeps each subscription by itself.
contract MoneyTest is LedgerTest {
    MoneyHandler private _handler;

    function setUp() public override {
        super.setUp();
        bytes32[2] memory feeds = [feed, openFeed("back door", 7)];
        _handler = new MoneyHandler(ledger, feeds, owner, LISTING);
        targetContract(address(_handler));
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = MoneyHandler.finish.selector;
        excludeSelector(FuzzSelector({addr: address(_handler), selectors: selectors}));
    }

    /// @dev Invariants 1 and 7: what is there is what was earned and not paid, and what can still be refunded.
    function invariant_TheBalanceIsWhatIsOwed() public view {
        assertEq(address(ledger).balance, _handler.owed(0) + _handler.owed(1));
    }

    /// @dev Invariants 2 and 4: nothing is paid before it is earned, and full hours are paid to the wei.
    function invariant_FullHoursCanBeWithdrawnAndNoMore() public view {
        for (uint256 i; i < 2; ++i) {
            assertEq(ledger.withdrawableOf(_handler.feeds(i)), _handler.withdrawable(i));
            assertLe(_handler.withdrawn(i), _handler.earned(i));
        }
    }

    /// @dev Invariants 3 and 5.
    function invariant_FeedTimeRunsOnlyWhileOpen() public view {
        assertTrue(_handler.clocksRunTrue());
    }

    /// @dev Invariants 6 and 8: whoever may cancel can, and after the end nothing is left.
    function afterInvariant() public {
        for (uint256 i; i < 2; ++i) {
            _handler.finish(i);
        }
        assertEq(address(ledger).balance, 0);
    }

    function testFuzz_RefundAndEarningsMakeThePayment(uint96 price, uint64 duration, uint64 start, uint64 used) public {
        price = uint96(bound(price, 1, 1e24));
        duration = uint64(bound(duration, 60, 366 days));
        start = uint64(bound(start, 0, 1000 days));
        used = uint64(bound(used, 0, duration - 1));
        vm.prank(owner);
        ledger.setPrice(feed, price);
        vm.deal(alice, type(uint128).max);
        at(start);
        subscribe(alice, alice, duration);
        at(uint256(start) + used);
        uint256 early = withdraw(ALL);
        assertLe(early, uint256(price) * used);
        assertEq(cancel(alice, alice), uint256(price) * (duration - used));
        assertEq(early + withdraw(ALL), uint256(price) * used);
        assertEq(address(ledger).balance, 0);
    }

    function testFuzz_FeedTimeIsTheOpenTime(uint32[6] calldata gaps) public {
        uint256 now_ = START;
        uint256 open;
        for (uint256 i; i < gaps.length; ++i) {
            now_ += gaps[i];
            vm.warp(now_);
            if (i % 2 == 0) {
                open += gaps[i];
                paused();
            } else {
                resumed();
            }
            assertEq(feedTime(), open);
        }
    }
}
