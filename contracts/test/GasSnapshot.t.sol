// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {LedgerTest} from "./LedgerTest.sol";

/// @dev Notes what each call costs as a transaction of its own, in `out/gas`; `gas/snapshot.mjs` compares it with the
/// committed figures. An hour is used when a subscription ends in it already, and a word is 256 hours of marks.
/// forge-config: default.isolate = true
contract GasSnapshotTest is LedgerTest {
    uint64 private constant FAR = 40 days;

    function setUp() public override {
        super.setUp();
        // The recipient of a payout is an account that exists.
        vm.deal(payout, 1);
    }

    function test_Subscribe() public {
        subscribe(alice, alice, 3600);
        record("subscribe: first of a feed");
        subscribe(bob, bob, 3600);
        record("subscribe: into a used hour");
        subscribe(newcomer(1), vm.addr(1), 7200);
        record("subscribe: into a fresh hour");
        subscribe(newcomer(2), vm.addr(2), FAR);
        record("subscribe: into a fresh word");
        at(4 hours);
        subscribe(bob, bob, FAR - 4 hours);
        record("subscribe: again after expiry, used hour");
    }

    function test_Extend() public {
        subscribe(alice, alice, 3600);
        subscribe(bob, bob, 7200);
        subscribe(newcomer(1), vm.addr(1), 3600);
        extend(alice, alice, 3600);
        record("extend: into a used hour");
        extend(alice, alice, 3600);
        record("extend: into a fresh hour");
        extend(alice, alice, FAR);
        record("extend: into a fresh word");
    }

    function test_Cancel() public {
        subscribe(alice, alice, 3600);
        subscribe(bob, bob, 3600);
        cancel(alice, alice);
        record("cancel: one of its hour");
        cancel(bob, bob);
        record("cancel: last of its hour");
    }

    function test_Withdraw() public {
        subscribe(alice, alice, 20 hours);
        at(2 hours);
        vm.prank(owner);
        ledger.withdraw(feed, ALL);
        record("withdraw: no marked hour");
        for (uint160 i = 1; i <= 8; ++i) {
            subscribe(newcomer(i), vm.addr(i), uint64(i) * 3600);
        }
        at(10 hours);
        vm.prank(owner);
        ledger.withdraw(feed, ALL);
        record("withdraw: 8 marked hours");
    }

    function test_Settle() public {
        for (uint160 i = 1; i <= 8; ++i) {
            subscribe(newcomer(i), vm.addr(i), uint64(i) * 3600);
        }
        at(10 hours);
        vm.prank(stranger);
        ledger.settle(feed, 7);
        record("settle: 7 marked hours");
        vm.prank(stranger);
        ledger.settle(feed, ALL);
        record("settle: 1 marked hour");
    }

    function test_Provider() public {
        openFeed("back door", PRICE);
        record("openFeed");
        paused();
        record("pause");
        resumed();
        record("resume");
        retired();
        record("retire");
    }

    function newcomer(uint160 seed) private returns (address who) {
        who = vm.addr(seed);
        vm.deal(who, 1e24);
    }

    function record(string memory call) private {
        vm.snapshotGasLastCall("FeedLedger", call);
    }
}
