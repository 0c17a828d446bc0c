// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {LibBit} from "solady/utils/LibBit.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";

/// @title What a feed earns, second by second, without a loop over its subscribers
/// @notice A subscription enters the book with its price and its end, may be moved to a later end, and may leave early.
/// The book earns the sum of the live prices every second. Ends are kept in hour buckets: bucket `b` holds those in
/// `(3600 * (b - 1), 3600 * b]`, and all of its hour is first earned in full, then corrected by what had ended before.
/// All times are feed time. There is no division of money and so no rounding.
/// @dev The storage of one book, slot by slot:
///
///   0  | rate 96 | carry 128                | nextBucket 32 |   totals
///   1  | keccak(bucket, slot 1) -> | ends 96 | over 128     |   buckets
///   2  | keccak(word, slot 2)   -> | 256 marks              |   marks
///
library Earnings {
    /// @dev One slot. All the ETH there is, below 2^87 wei, bounds `rate` (a price is prepaid for 60 seconds) and
    /// `carry` (that rate over 2^32 seconds); an overflow would revert all the same.
    struct Totals {
        // The sum of the prices that have not ended at the settled time, in wei per second.
        uint96 rate;
        // What is safe to pay, in wei. It is negative while a subscription was counted only in part of an hour.
        int128 carry;
        // The first bucket that is not settled, so that feed time is settled up to (nextBucket - 1) hours. It begins
        // at one and is never zero, which spares the first subscriber the price of a fresh slot.
        uint32 nextBucket;
    }

    /// @dev One slot. `ends` is the sum of prices that end in the hour, `over` what they do not earn of it.
    struct Bucket {
        uint96 ends;
        uint128 over;
    }

    struct Book {
        Totals totals;
        mapping(uint256 bucket => Bucket) buckets;
        // Bit `b % 256` of word `b / 256` is set while bucket `b` holds something.
        mapping(uint256 word => uint256) marks;
    }

    uint256 internal constant HOUR = 1 hours;

    /// @notice Begins an empty book at feed time zero.
    function open(Book storage book) internal {
        book.totals = Totals({rate: 0, carry: 0, nextBucket: 1});
        // No end falls into bucket zero: the mark only spares the first subscriber the price of a fresh slot.
        book.marks[0] = 1;
    }

    /// @notice Enters a subscription that begins at `feedTime`.
    function enter(Book storage book, uint96 price, uint64 feedTime, uint64 expiry) internal {
        Totals memory totals = book.totals;
        totals.rate += price;
        totals.carry -= _unsettled(totals, price, feedTime);
        book.totals = totals;
        _add(book, price, expiry);
    }

    /// @notice Moves the end of a live subscription.
    function move(Book storage book, uint96 price, uint64 from, uint64 to) internal {
        _remove(book, price, from);
        _add(book, price, to);
    }

    /// @notice Takes a live subscription out at `feedTime`; what it earned until then stays.
    function leave(Book storage book, uint96 price, uint64 feedTime, uint64 expiry) internal {
        Totals memory totals = book.totals;
        totals.rate -= price;
        totals.carry += _unsettled(totals, price, feedTime);
        book.totals = totals;
        _remove(book, price, expiry);
    }

    /// @notice Settles up to `maxBuckets` used buckets, and the unused ones between them. Never passes the last full
    /// hour: what is earned inside the running hour cannot be told from buckets.
    function settle(Book storage book, uint64 feedTime, uint256 maxBuckets) internal {
        book.totals = _settled(book, feedTime, maxBuckets);
    }

    /// @notice Settles likewise and takes out what is safe to pay.
    /// @return paid Wei that left the book
    function take(Book storage book, uint64 feedTime, uint256 maxBuckets) internal returns (uint256 paid) {
        Totals memory totals = _settled(book, feedTime, maxBuckets);
        paid = _safe(totals);
        if (paid != 0) totals.carry = 0;
        book.totals = totals;
    }

    /// @notice What `take` without a limit would take now.
    function takeable(Book storage book, uint64 feedTime) internal view returns (uint256) {
        Totals memory totals = book.totals;
        uint256 last = feedTime / HOUR;
        while (totals.nextBucket <= last) {
            (uint256 bucket, bool marked) = _nextMarked(book, totals.nextBucket, last);
            _advance(totals, bucket);
            if (marked) _release(totals, book.buckets[bucket]);
        }
        return _safe(totals);
    }

    /// @dev The totals after up to `maxBuckets` used buckets, which are cleared.
    function _settled(Book storage book, uint64 feedTime, uint256 maxBuckets) private returns (Totals memory totals) {
        totals = book.totals;
        uint256 last = feedTime / HOUR;
        while (totals.nextBucket <= last) {
            (uint256 bucket, bool marked) = _nextMarked(book, totals.nextBucket, last);
            if (marked && maxBuckets == 0) {
                _advance(totals, bucket - 1);
                break;
            }
            _advance(totals, bucket);
            if (marked) {
                _release(totals, book.buckets[bucket]);
                _clear(book, bucket);
                --maxBuckets;
            }
        }
    }

    /// @dev Earns at the present rate up to the end of `bucket`.
    function _advance(Totals memory totals, uint256 bucket) private pure {
        totals.carry += _wei(totals.rate, (bucket + 1 - totals.nextBucket) * HOUR);
        totals.nextBucket = SafeCastLib.toUint32(bucket + 1);
    }

    /// @dev Ends what ends in the bucket that was just earned in full.
    function _release(Totals memory totals, Bucket memory bucket) private pure {
        totals.rate -= bucket.ends;
        totals.carry -= SafeCastLib.toInt128(uint256(bucket.over));
    }

    /// @dev The first used bucket in `[from, last]`, or else `last`. Costs one read per 256 hours.
    function _nextMarked(Book storage book, uint256 from, uint256 last) private view returns (uint256, bool) {
        uint256 bits = book.marks[from >> 8] >> (from & 0xff);
        while (bits == 0) {
            from = (from | 0xff) + 1;
            if (from > last) return (last, false);
            bits = book.marks[from >> 8];
        }
        from += LibBit.ffs(bits);
        return from > last ? (last, false) : (from, true);
    }

    function _add(Book storage book, uint96 price, uint64 expiry) private {
        uint256 bucket = _bucketOf(expiry);
        Bucket memory b = book.buckets[bucket];
        if (b.ends == 0) book.marks[bucket >> 8] |= _markOf(bucket);
        b.ends += price;
        b.over += _over(price, bucket, expiry);
        book.buckets[bucket] = b;
    }

    function _remove(Book storage book, uint96 price, uint64 expiry) private {
        uint256 bucket = _bucketOf(expiry);
        Bucket memory b = book.buckets[bucket];
        if (b.ends == price) return _clear(book, bucket);
        b.ends -= price;
        b.over -= _over(price, bucket, expiry);
        book.buckets[bucket] = b;
    }

    function _clear(Book storage book, uint256 bucket) private {
        delete book.buckets[bucket];
        book.marks[bucket >> 8] &= ~_markOf(bucket);
    }

    /// @dev What `price` is worth between the settled time and now.
    function _unsettled(Totals memory totals, uint96 price, uint64 feedTime) private pure returns (int128) {
        return _wei(price, feedTime - (totals.nextBucket - 1) * HOUR);
    }

    /// @dev What `price` does not earn of the hour in which it ends.
    function _over(uint96 price, uint256 bucket, uint64 expiry) private pure returns (uint128) {
        return SafeCastLib.toUint128(price * (bucket * HOUR - expiry));
    }

    function _safe(Totals memory totals) private pure returns (uint256) {
        return totals.carry > 0 ? SafeCastLib.toUint256(totals.carry) : 0;
    }

    function _wei(uint96 rate, uint256 elapsed) private pure returns (int128) {
        return SafeCastLib.toInt128(rate * elapsed);
    }

    function _bucketOf(uint64 expiry) private pure returns (uint256) {
        return (expiry + HOUR - 1) / HOUR;
    }

    function _markOf(uint256 bucket) private pure returns (uint256) {
        // The operands are in the right order: one bit is moved to its place.
        // forge-lint: disable-next-line(incorrect-shift)
        return 1 << (bucket & 0xff);
    }
}
