// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {Earnings} from "../../src/Earnings.sol";

/// @dev The money equations of the book, for every price and second within the bounds. Halmos proves each `check_`;
/// forge runs it as a fuzz test by its `testFuzz_` twin, which moves the arguments into the bounds.
contract EarningsSymbolicTest is Test {
    using Earnings for Earnings.Book;

    uint64 internal constant HOUR = 3600;
    uint256 internal constant ALL = type(uint256).max;
    /// @dev The hours after its opening in which a book is looked at.
    uint64 internal constant HORIZON = 4 * HOUR;

    Earnings.Book private _book;

    function setUp() public {
        _book.open();
    }

    /// @dev subscribe, then cancel in the same second: nothing was earned, and the book is as it was.
    function check_EnterThenLeaveAtOnce(uint96 price, uint64 start, uint64 expiry) public {
        vm.assume(price > 0 && start < expiry && expiry <= HORIZON);
        _book.enter(price, start, expiry);
        _book.leave(price, start, expiry);
        assert(_book.totals.rate == 0);
        assert(_book.totals.carry == 0);
        assert(_bucketOf(expiry).ends == 0);
        assert(_bucketOf(expiry).over == 0);
        assert(_book.marks[0] == 1);
    }

    /// @dev cancel: what was earned until then is in the carry, to the wei.
    function check_LeaveKeepsWhatWasEarned(uint96 price, uint64 start, uint64 end, uint64 expiry) public {
        vm.assume(price > 0 && start <= end && end < expiry && expiry <= HORIZON);
        _book.enter(price, start, expiry);
        _book.leave(price, end, expiry);
        assert(_book.totals.rate == 0);
        assert(_book.totals.carry == int256(uint256(price) * (end - start)));
        assert(_book.marks[0] == 1);
    }

    /// @dev refund + earned == paid.
    function check_RefundAndEarnedMakeThePayment(uint96 price, uint64 start, uint64 end, uint64 expiry) public {
        vm.assume(price > 0 && start <= end && end < expiry && expiry <= HORIZON);
        _book.enter(price, start, expiry);
        _book.leave(price, end, expiry);
        uint256 refund = uint256(price) * (expiry - end);
        assert(refund + _book.take(end, ALL) == uint256(price) * (expiry - start));
    }

    /// @dev The same, with a withdrawal before the cancel.
    function check_TakingInBetweenChangesNoSum(uint96 price, uint64 start, uint64 between, uint64 end, uint64 expiry)
        public
    {
        vm.assume(price > 0 && start <= between && between <= end && end < expiry && expiry <= HORIZON);
        _book.enter(price, start, expiry);
        uint256 early = _book.take(between, ALL);
        _book.leave(price, end, expiry);
        assert(early + _book.take(end, ALL) == uint256(price) * (end - start));
    }

    /// @dev extend adds exactly price * seconds of earnings.
    function check_MoveAddsTheSeconds(uint96 price, uint64 start, uint64 at, uint64 from, uint64 to) public {
        vm.assume(price > 0 && start <= at && at < from && from < to && to <= HORIZON);
        _book.enter(price, start, from);
        _book.move(price, from, to);
        assert(_book.take(HORIZON, ALL) == uint256(price) * (to - start));
        assert(_book.totals.rate == 0);
        assert(_book.marks[0] == 1);
    }

    /// @dev At any second, with any number of buckets, not more than was earned is paid.
    function check_TakeNeverPaysMoreThanEarned(uint96 price, uint64 start, uint64 expiry, uint64 at, uint256 buckets)
        public
    {
        vm.assume(price > 0 && start < expiry && start <= at && expiry <= HORIZON && at <= HORIZON);
        _book.enter(price, start, expiry);
        uint64 until = at < expiry ? at : expiry;
        assert(_book.take(at, buckets) <= uint256(price) * (until - start));
    }

    /// @dev When all has ended and its hour is over, all is paid.
    function check_AllIsPaidInTheEnd(uint96 price, uint64 start, uint64 expiry) public {
        vm.assume(price > 0 && start < expiry && expiry <= HORIZON);
        _book.enter(price, start, expiry);
        assert(_book.take(HORIZON, ALL) == uint256(price) * (expiry - start));
        assert(_book.totals.rate == 0);
        assert(_book.totals.carry == 0);
    }

    // ------------------------------------------------------------------------------------- the same, by forge

    function testFuzz_EnterThenLeaveAtOnce(uint96 price, uint64 start, uint64 expiry) public {
        expiry = _second(expiry, 1, HORIZON);
        check_EnterThenLeaveAtOnce(_price(price), _second(start, 0, expiry - 1), expiry);
    }

    function testFuzz_LeaveKeepsWhatWasEarned(uint96 price, uint64 start, uint64 end, uint64 expiry) public {
        expiry = _second(expiry, 1, HORIZON);
        end = _second(end, 0, expiry - 1);
        check_LeaveKeepsWhatWasEarned(_price(price), _second(start, 0, end), end, expiry);
    }

    function testFuzz_RefundAndEarnedMakeThePayment(uint96 price, uint64 start, uint64 end, uint64 expiry) public {
        expiry = _second(expiry, 1, HORIZON);
        end = _second(end, 0, expiry - 1);
        check_RefundAndEarnedMakeThePayment(_price(price), _second(start, 0, end), end, expiry);
    }

    function testFuzz_TakingInBetweenChangesNoSum(uint96 price, uint64 start, uint64 between, uint64 end, uint64 expiry)
        public
    {
        expiry = _second(expiry, 1, HORIZON);
        end = _second(end, 0, expiry - 1);
        between = _second(between, 0, end);
        check_TakingInBetweenChangesNoSum(_price(price), _second(start, 0, between), between, end, expiry);
    }

    function testFuzz_MoveAddsTheSeconds(uint96 price, uint64 start, uint64 at, uint64 from, uint64 to) public {
        to = _second(to, 2, HORIZON);
        from = _second(from, 1, to - 1);
        at = _second(at, 0, from - 1);
        check_MoveAddsTheSeconds(_price(price), _second(start, 0, at), at, from, to);
    }

    function testFuzz_TakeNeverPaysMoreThanEarned(uint96 price, uint64 start, uint64 expiry, uint64 at, uint256 buckets)
        public
    {
        expiry = _second(expiry, 1, HORIZON);
        start = _second(start, 0, expiry - 1);
        check_TakeNeverPaysMoreThanEarned(_price(price), start, expiry, _second(at, start, HORIZON), buckets);
    }

    function testFuzz_AllIsPaidInTheEnd(uint96 price, uint64 start, uint64 expiry) public {
        expiry = _second(expiry, 1, HORIZON);
        check_AllIsPaidInTheEnd(_price(price), _second(start, 0, expiry - 1), expiry);
    }

    function _price(uint96 price) private pure returns (uint96) {
        return price == 0 ? 1 : price;
    }

    function _second(uint64 any, uint64 least, uint64 most) private pure returns (uint64) {
        return uint64(bound(any, least, most));
    }

    function _bucketOf(uint64 expiry) private view returns (Earnings.Bucket memory) {
        return _book.buckets[(expiry + HOUR - 1) / HOUR];
    }
}
