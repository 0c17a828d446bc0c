// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../../src/IFeedLedger.sol";
import {Consent} from "../Consent.sol";
import {Forcer, Greedy, Refuser} from "../Recipients.sol";
import {LedgerModel} from "./LedgerModel.sol";

/// @dev Does random things to four feeds. Whoever pays, is paid, owns or pauses is one of four keys, a contract that
/// refuses money and one that calls back. What can be done must be done: nothing here may revert by surprise.
contract LedgerHandler is LedgerModel {
    uint256 private constant FIRST_DEVICE_KEY = 0xde1ce00;
    uint256 private constant HOUR = 3600;

    Refuser private immutable REFUSER = new Refuser();
    Greedy private immutable GREEDY;
    address[6] private _people;
    uint256 private _now = block.timestamp;
    uint256 private _devices;

    /// @dev How often each thing was really done.
    mapping(string action => uint256) public done;
    /// @dev What must never happen, by number of the invariant.
    mapping(uint256 invariant => uint256) public violations;

    constructor(IFeedLedger ledger) LedgerModel(ledger) {
        GREEDY = new Greedy(ledger);
        _people = [vm.addr(1), vm.addr(2), vm.addr(3), vm.addr(4), address(REFUSER), address(GREEDY)];
        for (uint256 i; i < _people.length; ++i) {
            vm.deal(_people[i], 2 ** 120);
        }
        for (uint256 i; i < FEEDS; ++i) {
            Ghost storage g = _ghosts[i];
            g.name = bytes32("feed ") | bytes32((0x30 + i) << 208);
            (g.owner, g.payout, g.pauser) = (_people[i], _people[i], _people[(i + 1) % FEEDS]);
            (g.price, g.listing) = (uint96(1 + i * 1e9), keccak256(abi.encode(i)));
            (address device, bytes memory consent) = newDevice(g.name, g.owner);
            vm.prank(g.owner);
            g.id = ledger.openFeed(device, g.name, g.price, g.payout, g.pauser, g.listing, type(uint64).max, consent);
            locateTotals(i);
        }
    }

    /// @dev Around everything that is done to one feed: the others' money is not touched, and nothing goes back.
    modifier onFeed(uint256 index) {
        uint256[FEEDS] memory before;
        for (uint256 i; i < FEEDS; ++i) {
            before[i] = totalsOf(i);
        }
        _;
        for (uint256 i; i < FEEDS; ++i) {
            if (i != index % FEEDS && totalsOf(i) != before[i]) ++violations[7];
        }
        look();
    }

    // ------------------------------------------------------------------------------------------------------- time

    function waitSeconds(uint256 duration) external {
        pass(within(duration, 1, 200));
    }

    function waitHours(uint256 duration) external {
        pass(within(duration, 201, 30 * HOUR));
    }

    /// @dev To a second before, at or after an hour boundary of one feed.
    function waitForTheHour(uint256 index, uint256 offset) external {
        pass(HOUR - _ghosts[index % FEEDS].time % HOUR + offset % 3 - 1);
    }

    function waitDays(uint256 duration, uint256 kind) external {
        pass(kind % 16 == 0 ? 30 days : within(duration, 1 days, 3 days));
    }

    // -------------------------------------------------------------------------------------------------- subscriber

    function subscribe(uint256 index, uint256 payerSeed, uint256 forSeed, uint256 duration) external onFeed(index) {
        index %= FEEDS;
        Ghost storage g = _ghosts[index];
        (address payer, address beneficiary) = (person(payerSeed), person(forSeed));
        if (g.paused || g.retiresAt != 0 || isLive(index, payer, beneficiary)) return;
        // Short, of some hours, up to an hour boundary, or of months.
        uint256 kind = duration % 8;
        if (kind == 0) duration = within(duration, 1 days, 366 days);
        else if (kind == 1) duration = 2 * HOUR - g.time % HOUR;
        else duration = within(duration, 60, kind == 2 ? 120 : 30 * HOUR);
        vm.prank(payer);
        uint256 end =
            LEDGER.subscribe{value: g.price * duration}(g.id, beneficiary, uint64(duration), g.price, g.listing);
        if (end != g.time + duration) ++violations[1];
        enter(index, payer, beneficiary, g.price, end);
        ++done["subscribe"];
    }

    function extend(uint256 index, uint256 which, uint256 duration) external onFeed(index) {
        index %= FEEDS;
        Ghost storage g = _ghosts[index];
        (bool found, uint256 i) = findLive(index, which);
        if (!found || g.paused || g.retiresAt != 0) return;
        Sub storage s = _subs[index][i];
        uint256 most = 366 days - (s.end - g.time);
        if (s.price != g.price || most < 60) return;
        duration = within(duration, 60, most < 50 * HOUR ? most : 50 * HOUR);
        vm.prank(s.payer);
        s.end = uint40(LEDGER.extend{value: s.price * duration}(g.id, s.beneficiary, uint64(duration)));
        ++done["extend"];
    }

    function cancel(uint256 index, uint256 which, uint256 toSeed) external onFeed(index) {
        index %= FEEDS;
        (bool found, uint256 i) = findLive(index, which);
        if (found) leave(index, i, person(toSeed));
    }

    // ---------------------------------------------------------------------------------------------------- provider

    function withdraw(uint256 index, uint256 maxBuckets) external onFeed(index) {
        index %= FEEDS;
        collect(index, maxBuckets % 8 == 7 ? type(uint256).max : maxBuckets % 8);
    }

    function settle(uint256 index, uint256 maxBuckets, uint256 callerSeed) external onFeed(index) {
        index %= FEEDS;
        vm.prank(person(callerSeed));
        LEDGER.settle(_ghosts[index].id, maxBuckets % 5);
        closeEnded(index);
        ++done["settle"];
    }

    function pause(uint256 index, uint256 who) external onFeed(index) {
        Ghost storage g = _ghosts[index % FEEDS];
        address caller = who % 2 == 0 ? g.owner : g.pauser;
        if (g.paused || g.retiresAt != 0 || caller == address(0) || who % 3 != 0) return;
        vm.prank(caller);
        LEDGER.pause(g.id);
        (g.paused, g.pausedBy) = (true, caller);
        ++done["pause"];
    }

    function resume(uint256 index, uint256 who) external onFeed(index) {
        Ghost storage g = _ghosts[index % FEEDS];
        if (!g.paused) return;
        bool own = g.pausedBy == g.pauser && g.retiresAt == 0;
        vm.prank(who % 2 == 0 && own ? g.pauser : g.owner);
        LEDGER.resume(g.id);
        (g.paused, g.pausedBy) = (false, address(0));
        ++done["resume"];
    }

    function setTerms(uint256 index, uint96 price, uint256 pauserSeed, bytes32 listing) external onFeed(index) {
        Ghost storage g = _ghosts[index % FEEDS];
        if (g.retiresAt != 0) return;
        // Mostly the old price, at which subscriptions can be extended.
        if (price % 4 == 0) g.price = uint96(within(price, 1, 1e21));
        (g.pauser, g.listing) = (person(pauserSeed), listing);
        vm.startPrank(g.owner);
        LEDGER.setPrice(g.id, g.price);
        LEDGER.setPauser(g.id, g.pauser);
        LEDGER.setListing(g.id, listing);
        vm.stopPrank();
        ++done["setTerms"];
    }

    function setPayout(uint256 index, uint256 payoutSeed) external onFeed(index) {
        Ghost storage g = _ghosts[index % FEEDS];
        g.payout = person(payoutSeed);
        vm.prank(g.owner);
        LEDGER.setPayout(g.id, g.payout);
        ++done["setPayout"];
    }

    function replaceDevice(uint256 index) external onFeed(index) {
        Ghost storage g = _ghosts[index % FEEDS];
        if (g.retiresAt != 0) return;
        (address device, bytes memory consent) = newDevice(g.name, g.owner);
        vm.prank(g.owner);
        LEDGER.setDevice(g.id, device, type(uint64).max, consent);
        ++done["replaceDevice"];
    }

    function handOver(uint256 index, uint256 toSeed) external onFeed(index) {
        Ghost storage g = _ghosts[index % FEEDS];
        address to = person(toSeed);
        vm.prank(g.owner);
        LEDGER.transferFeed(g.id, to);
        vm.prank(to);
        LEDGER.acceptFeed(g.id);
        (g.owner, g.payout, g.pauser) = (to, to, address(0));
        ++done["handOver"];
    }

    function retire(uint256 index, uint256 rarely) external onFeed(index) {
        Ghost storage g = _ghosts[index % FEEDS];
        if (rarely % 48 != 0 || g.retiresAt != 0) return;
        vm.prank(g.owner);
        LEDGER.retire(g.id);
        g.retiresAt = g.time + HOUR - g.time % HOUR;
        ++done["retire"];
    }

    function force(uint256 amount) external {
        amount = within(amount, 1, 1e18);
        forced += amount;
        vm.deal(address(this), amount);
        new Forcer{value: amount}(payable(address(LEDGER)));
        ++done["force"];
    }

    /// @dev Retires every feed, waits for the boundary, cancels what is live and withdraws the rest.
    function finish() external {
        for (uint256 i; i < FEEDS; ++i) {
            Ghost storage g = _ghosts[i];
            vm.startPrank(g.owner);
            LEDGER.setPayout(g.id, vm.addr(1));
            if (g.retiresAt == 0) LEDGER.retire(g.id);
            if (g.paused) LEDGER.resume(g.id);
            vm.stopPrank();
            if (g.retiresAt == 0) g.retiresAt = g.time + HOUR - g.time % HOUR;
            (g.paused, g.payout) = (false, vm.addr(1));
        }
        pass(HOUR);
        for (uint256 i; i < FEEDS; ++i) {
            for ((bool found, uint256 s) = findLive(i, 0); found; (found, s) = findLive(i, 0)) {
                leave(i, s, vm.addr(1));
            }
            collect(i, type(uint256).max);
        }
    }

    // ----------------------------------------------------------------------------------------------------- helpers

    function person(uint256 seed) private view returns (address) {
        return _people[seed % _people.length];
    }

    /// @dev Without the log line that forge-std's `bound` writes, which would take most of the time.
    function within(uint256 x, uint256 least, uint256 most) private pure returns (uint256) {
        return least + x % (most - least + 1);
    }

    function newDevice(bytes32 name, address owner) private returns (address device, bytes memory) {
        uint256 key = FIRST_DEVICE_KEY + _devices++;
        device = vm.addr(key);
        return (device, Consent.sign(key, address(LEDGER), name, owner, type(uint64).max));
    }

    /// @dev Whoever's clock stands still earns nothing and loses nothing meanwhile.
    function pass(uint256 duration) private {
        uint256[FEEDS] memory standing;
        for (uint256 i; i < FEEDS; ++i) {
            if (stopped(i)) standing[i] = LEDGER.withdrawableOf(_ghosts[i].id);
        }
        _now += duration;
        vm.warp(_now);
        for (uint256 i; i < FEEDS; ++i) {
            Ghost storage g = _ghosts[i];
            if (stopped(i)) {
                if (LEDGER.withdrawableOf(g.id) != standing[i] || timeOf(i) != g.seenTime) ++violations[5];
            } else {
                g.time += duration;
                if (g.retiresAt != 0 && g.time > g.retiresAt) g.time = g.retiresAt;
            }
            if (timeOf(i) != g.time) ++violations[3];
        }
        look();
        ++done["wait"];
    }

    function look() private {
        for (uint256 i; i < FEEDS; ++i) {
            (uint256 time, uint256 settled) = (timeOf(i), settledOf(i));
            Ghost storage g = _ghosts[i];
            if (time < g.seenTime || settled < g.seenSettled || settled > time) ++violations[3];
            (g.seenTime, g.seenSettled) = (time, settled);
        }
    }

    function timeOf(uint256 index) private view returns (uint256) {
        return LEDGER.clockOf(_ghosts[index].id).feedTime;
    }

    function leave(uint256 index, uint256 i, address to) private {
        Ghost storage g = _ghosts[index];
        Sub memory s = _subs[index][i];
        if (to == address(REFUSER)) {
            // A refused payment undoes the cancel, and the payer names somebody else.
            vm.prank(s.payer);
            try LEDGER.cancel(g.id, s.beneficiary, to) {
                ++violations[6];
            } catch {
                ++done["refused refund"];
            }
            to = vm.addr(1);
        }
        if (to == address(GREEDY)) GREEDY.arm(g.id, s.payer == to ? s.beneficiary : address(0));
        vm.prank(s.payer);
        try LEDGER.cancel(g.id, s.beneficiary, to) returns (uint256 refund) {
            if (refund != s.price * (s.end - g.time)) ++violations[6];
            close(index, i, g.time);
            ++done["cancel"];
        } catch {
            ++violations[6];
        }
        if (to == address(GREEDY)) enterGreed(index);
    }

    function collect(uint256 index, uint256 maxBuckets) private {
        Ghost storage g = _ghosts[index];
        if (g.payout == address(GREEDY)) GREEDY.arm(g.id, address(0));
        vm.prank(g.owner);
        try LEDGER.withdraw(g.id, maxBuckets) returns (uint256 paid) {
            if (paid != 0 && g.payout == address(REFUSER)) ++violations[4];
            g.withdrawn += paid;
            if (paid != 0) ++done["withdraw"];
        } catch {
            if (g.payout != address(REFUSER)) ++violations[8];
            ++done["refused payout"];
        }
        if (g.payout == address(GREEDY)) enterGreed(index);
        closeEnded(index);
    }

    /// @dev Enters what the re-entrant recipient did rightfully, and counts what it must not.
    function enterGreed(uint256 index) private {
        GREEDY.disarm();
        if (GREEDY.cancelledTwice() != 0) ++violations[6];
        _ghosts[index].withdrawn += GREEDY.withdrew();
        if (GREEDY.withdrew() != 0) ++done["withdraw within a payment"];
        if (GREEDY.boughtUntil() != 0) {
            enter(index, address(GREEDY), address(GREEDY), GREEDY.boughtAt(), GREEDY.boughtUntil());
            ++done["subscribe within a payment"];
        }
        closeEnded(index);
    }
}
