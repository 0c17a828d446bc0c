// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {CommonBase} from "forge-std/Base.sol";
import {IFeedLedger} from "../../src/IFeedLedger.sol";

/// @dev The books kept naively: every subscription by itself, every clock by counting its seconds. Nothing here is the
/// ledger's own arithmetic, and no figure is taken from the ledger but the settled time and the rate that are checked.
abstract contract LedgerModel is CommonBase {
    struct Sub {
        address payer;
        uint96 price;
        address beneficiary;
        uint40 start;
        uint40 end;
    }

    struct Ghost {
        bytes32 id;
        bytes32 name;
        // The clock.
        uint256 time;
        uint256 retiresAt;
        bool paused;
        address pausedBy;
        // Who may do what, and the terms.
        address owner;
        address payout;
        address pauser;
        uint96 price;
        bytes32 listing;
        // The money. `closed` is what subscriptions earned that are over for good.
        uint256 closed;
        uint256 withdrawn;
        // Seen at the last look, to notice what goes back.
        uint256 seenTime;
        uint256 seenSettled;
    }

    uint256 public constant FEEDS = 4;
    uint256 private constant HOUR = 3600;
    /// @dev Where {FeedLedger} keeps its feeds: two slots of {EIP712} come first.
    uint256 private constant FEEDS_SLOT = 2;

    IFeedLedger internal immutable LEDGER;

    Ghost[FEEDS] internal _ghosts;
    mapping(uint256 index => Sub[]) internal _subs;
    bytes32[FEEDS] private _totalsSlots;
    /// @dev Wei that were forced upon the ledger.
    uint256 public forced;

    constructor(IFeedLedger ledger) {
        LEDGER = ledger;
    }

    function timesOf(uint256 index) external view returns (bytes32 id, uint256 time, uint256 retiresAt) {
        return (_ghosts[index].id, _ghosts[index].time, _ghosts[index].retiresAt);
    }

    function withdrawnOf(uint256 index) external view returns (uint256) {
        return _ghosts[index].withdrawn;
    }

    function stopped(uint256 index) public view returns (bool) {
        Ghost storage g = _ghosts[index];
        return g.paused || (g.retiresAt != 0 && g.time == g.retiresAt);
    }

    /// @dev Of one feed, in one walk over its subscriptions.
    /// @return earned Wei, to the second
    /// @return refundable Wei that payers could take back
    /// @return safe Wei earned up to the last full hour, less what newcomers of the running hour hold back and what was
    /// withdrawn
    /// @return rate Prices that have not ended at the settled time
    function sums(uint256 index)
        external
        view
        returns (uint256 earned, uint256 refundable, uint256 safe, uint256 rate)
    {
        uint256 time = _ghosts[index].time;
        uint256 hour = time / HOUR * HOUR;
        uint256 settled = settledOf(index);
        earned = _ghosts[index].closed;
        int256 paidUp = int256(earned) - int256(_ghosts[index].withdrawn);
        Sub[] storage subs = _subs[index];
        uint256 count = subs.length;
        for (uint256 i; i < count; ++i) {
            Sub memory s = subs[i];
            earned += s.price * ((time < s.end ? time : s.end) - s.start);
            if (s.end > time) refundable += s.price * (s.end - time);
            if (s.end > settled) rate += s.price;
            uint256 until = s.end < hour ? s.end : hour;
            paidUp += int256(uint256(s.price)) * (int256(until) - int256(uint256(s.start)));
        }
        safe = paidUp > 0 ? uint256(paidUp) : 0;
    }

    // ----------------------------------------------------------------------------------------- the ledger's slots

    function rateOf(uint256 index) external view returns (uint256) {
        return uint96(totalsOf(index));
    }

    /// @dev Feed time up to which the ledger has settled.
    function settledOf(uint256 index) public view returns (uint256) {
        return ((totalsOf(index) >> 224) - 1) * HOUR;
    }

    /// @dev | rate 96 | carry 128 | nextBucket 32 |, see {Earnings}.
    function totalsOf(uint256 index) public view returns (uint256) {
        return uint256(vm.load(address(LEDGER), _totalsSlots[index]));
    }

    function locateTotals(uint256 index) internal {
        _totalsSlots[index] = bytes32(uint256(keccak256(abi.encode(_ghosts[index].id, FEEDS_SLOT))) + 1);
    }

    // ------------------------------------------------------------------------------------------------------ books

    function enter(uint256 index, address payer, address beneficiary, uint96 price, uint256 end) internal {
        _subs[index].push(Sub(payer, price, beneficiary, uint40(_ghosts[index].time), uint40(end)));
    }

    /// @dev Closes a subscription at this feed time.
    function close(uint256 index, uint256 i, uint256 end) internal {
        Sub[] storage subs = _subs[index];
        _ghosts[index].closed += subs[i].price * (end - subs[i].start);
        subs[i] = subs[subs.length - 1];
        subs.pop();
    }

    /// @dev Closes what ended before the settled time, so that the sums stay short.
    function closeEnded(uint256 index) internal {
        uint256 settled = settledOf(index);
        for (uint256 i = _subs[index].length; i > 0; --i) {
            if (_subs[index][i - 1].end <= settled) close(index, i - 1, _subs[index][i - 1].end);
        }
    }

    /// @dev A live subscription, searched from a random place.
    function findLive(uint256 index, uint256 seed) internal view returns (bool found, uint256 i) {
        uint256 count = _subs[index].length;
        for (uint256 step; step < count; ++step) {
            i = (seed % count + step) % count;
            if (_subs[index][i].end > _ghosts[index].time) return (true, i);
        }
    }

    function isLive(uint256 index, address payer, address beneficiary) internal view returns (bool) {
        for (uint256 i; i < _subs[index].length; ++i) {
            Sub memory s = _subs[index][i];
            if (s.payer == payer && s.beneficiary == beneficiary && s.end > _ghosts[index].time) return true;
        }
        return false;
    }
}
