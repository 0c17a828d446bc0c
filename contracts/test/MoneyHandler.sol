// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {CommonBase} from "forge-std/Base.sol";
import {StdCheats} from "forge-std/StdCheats.sol";
import {StdUtils} from "forge-std/StdUtils.sol";
import {IFeedLedger} from "../src/IFeedLedger.sol";

/// @dev Does random things to two feeds, and keeps the books by the second and the subscription: slow, plain and
/// written apart from the ledger's buckets.
contract MoneyHandler is CommonBase, StdCheats, StdUtils {
    struct Sub {
        address payer;
        address beneficiary;
        uint256 price;
        uint256 start;
        uint256 end;
        bool cancelled;
    }

    uint256 private constant PEOPLE = 4;

    IFeedLedger private immutable LEDGER;
    address private immutable OWNER;
    bytes32 private immutable LISTING;

    bytes32[2] public feeds;
    uint256[2] public withdrawn;
    bool public clocksRunTrue = true;

    mapping(uint256 index => Sub[]) private _subs;
    uint256 private _now = block.timestamp;

    constructor(IFeedLedger ledger, bytes32[2] memory feeds_, address owner, bytes32 listing) {
        LEDGER = ledger;
        feeds = feeds_;
        OWNER = owner;
        LISTING = listing;
    }

    // ------------------------------------------------------------------------------------------------ actions

    function wait(uint256 duration) external {
        // Mostly minutes and hours, now and then weeks.
        duration = bound(duration, 1, duration % 8 == 0 ? 30 days : 3 hours);
        uint256[2] memory before = [feedTime(0), feedTime(1)];
        _now += duration;
        vm.warp(_now);
        for (uint256 i; i < 2; ++i) {
            IFeedLedger.ClockView memory c = LEDGER.clockOf(feeds[i]);
            uint256 expected = before[i] + (c.pausedAt == 0 ? duration : 0);
            if (c.retiresAt != 0 && expected > c.retiresAt) expected = c.retiresAt;
            if (c.feedTime != expected) clocksRunTrue = false;
        }
    }

    function subscribe(uint256 index, uint256 payerSeed, uint256 beneficiarySeed, uint256 duration) external {
        index %= 2;
        address payer = person(payerSeed);
        address beneficiary = person(beneficiarySeed);
        uint96 price = LEDGER.feedOf(feeds[index]).price;
        // Ends on an hour, a second before it and after it are as likely as any other.
        duration = bound(duration, 60, duration % 5 == 0 ? 300 days : 30 hours);
        vm.deal(payer, price * duration);
        vm.prank(payer);
        uint256 end =
            LEDGER.subscribe{value: price * duration}(feeds[index], beneficiary, uint64(duration), price, LISTING);
        _subs[index].push(Sub(payer, beneficiary, price, end - duration, end, false));
    }

    function extend(uint256 index, uint256 which, uint256 duration) external {
        index %= 2;
        Sub storage s = _live(index, which);
        duration = bound(duration, 60, 50 hours);
        vm.deal(s.payer, s.price * duration);
        vm.prank(s.payer);
        s.end = LEDGER.extend{value: s.price * duration}(feeds[index], s.beneficiary, uint64(duration));
    }

    function cancel(uint256 index, uint256 which) external {
        index %= 2;
        _cancel(index, _live(index, which));
    }

    function withdraw(uint256 index, uint256 maxBuckets) external {
        index %= 2;
        _withdraw(index, maxBuckets % 4);
    }

    function settle(uint256 index, uint256 maxBuckets) external {
        LEDGER.settle(feeds[index % 2], maxBuckets % 4);
    }

    function pause(uint256 index, uint256 rarely) external {
        if (rarely % 4 != 0) return;
        vm.prank(OWNER);
        LEDGER.pause(feeds[index % 2]);
    }

    function resume(uint256 index) external {
        vm.prank(OWNER);
        LEDGER.resume(feeds[index % 2]);
    }

    function setPrice(uint256 index, uint96 price) external {
        vm.prank(OWNER);
        LEDGER.setPrice(feeds[index % 2], uint96(bound(price, 1, 1e21)));
    }

    function retire(uint256 index, uint256 rarely) external {
        if (rarely % 64 != 0) return;
        vm.prank(OWNER);
        LEDGER.retire(feeds[index % 2]);
    }

    /// @dev Retires, waits for the boundary, cancels whatever is live and withdraws the rest.
    function finish(uint256 index) external {
        bytes32 feed = feeds[index];
        if (LEDGER.clockOf(feed).retiresAt == 0) {
            vm.prank(OWNER);
            LEDGER.retire(feed);
        }
        if (LEDGER.clockOf(feed).pausedAt != 0) {
            vm.prank(OWNER);
            LEDGER.resume(feed);
        }
        _now += 1 hours;
        vm.warp(_now);
        uint256 now_ = feedTime(index);
        for (uint256 i; i < _subs[index].length; ++i) {
            if (_subs[index][i].end > now_) _cancel(index, _subs[index][i]);
        }
        _withdraw(index, type(uint256).max);
    }

    // -------------------------------------------------------------------------------------------------- model

    /// @dev Earned to the second.
    function earned(uint256 index) public view returns (uint256 sum) {
        uint256 now_ = feedTime(index);
        for (uint256 i; i < _subs[index].length; ++i) {
            Sub storage s = _subs[index][i];
            sum += s.price * ((now_ < s.end ? now_ : s.end) - s.start);
        }
    }

    /// @dev What the ledger must hold for the feed: unpaid earnings and unused seconds.
    function owed(uint256 index) external view returns (uint256 sum) {
        uint256 now_ = feedTime(index);
        sum = earned(index) - withdrawn[index];
        for (uint256 i; i < _subs[index].length; ++i) {
            Sub storage s = _subs[index][i];
            if (s.end > now_) sum += s.price * (s.end - now_);
        }
    }

    /// @dev Earned up to the last full hour, less what newcomers of the running hour hold back.
    function withdrawable(uint256 index) external view returns (uint256) {
        uint256 hour = feedTime(index) / 3600 * 3600;
        int256 sum = -int256(withdrawn[index]);
        for (uint256 i; i < _subs[index].length; ++i) {
            Sub storage s = _subs[index][i];
            uint256 until = s.cancelled || s.end <= hour ? s.end : hour;
            sum += int256(s.price) * (int256(until) - int256(s.start));
        }
        return sum > 0 ? uint256(sum) : 0;
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function feedTime(uint256 index) private view returns (uint256) {
        return LEDGER.clockOf(feeds[index]).feedTime;
    }

    function person(uint256 seed) private pure returns (address) {
        return vm.addr(1 + seed % PEOPLE);
    }

    /// @dev A subscription that the ledger still holds, and not an earlier one of the same people.
    function _live(uint256 index, uint256 which) private view returns (Sub storage s) {
        uint256 count = _subs[index].length;
        uint256 now_ = feedTime(index);
        for (uint256 i; i < count; ++i) {
            s = _subs[index][(which % count + i) % count];
            if (s.end > now_) return s;
        }
        revert("nobody is subscribed");
    }

    function _cancel(uint256 index, Sub storage s) private {
        vm.prank(s.payer);
        LEDGER.cancel(feeds[index], s.beneficiary, s.payer);
        s.end = feedTime(index);
        s.cancelled = true;
    }

    function _withdraw(uint256 index, uint256 maxBuckets) private {
        vm.prank(OWNER);
        withdrawn[index] += LEDGER.withdraw(feeds[index], maxBuckets);
    }
}
