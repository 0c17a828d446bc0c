// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {LedgerTest} from "./LedgerTest.sol";

/// @dev What each call costs as a transaction of its own: calldata, cold storage and refunds included. An hour is
/// used when a subscription ends in it already, and a word is 256 hours of marks.
/// forge-config: default.isolate = true
contract GasTest is LedgerTest {
    uint64 private constant FAR = 40 days;

    function setUp() public override {
        super.setUp();
        vm.deal(payout, 1);
    }

    function test_Subscribe() public {
        assertCost(buy(alice, 3600), 90_000, "first subscriber");
        assertCost(buy(bob, 3600), 67_500, "used hour");
        assertCost(buy(vm.addr(1), 7200), 90_000, "fresh hour");
        assertCost(buy(vm.addr(2), FAR), 107_000, "fresh word");
    }

    function test_Extend() public {
        buy(alice, 3600);
        buy(bob, 7200);
        assertCost(lengthen(3600), 48_000, "used hour");
        assertCost(lengthen(3600), 70_500, "fresh hour");
        assertCost(lengthen(FAR), 87_000, "fresh word");
    }

    function test_Cancel() public {
        buy(alice, 3600);
        buy(bob, 3600);
        assertCost(leave(alice), 54_000, "shared hour");
        assertCost(leave(bob), 54_000, "last of its hour");
    }

    function test_Withdraw() public {
        buy(alice, 20 hours);
        at(2 hours);
        assertCost(collect(), 50_000, "no marked hour");
        for (uint160 i = 1; i <= 8; ++i) {
            buy(vm.addr(i), uint64(i) * 3600);
        }
        at(10 hours);
        assertCost(collect(), 50_000 + 8 * 4600, "eight marked hours");
    }

    function assertCost(uint256 used, uint256 most, string memory what) private {
        emit log_named_uint(what, used);
        assertLe(used, most, what);
    }

    function buy(address who, uint64 duration) private returns (uint256) {
        vm.deal(who, 1e24);
        vm.prank(who);
        ledger.subscribe{value: uint256(PRICE) * duration}(feed, who, duration, PRICE, LISTING);
        return vm.lastCallGas().gasTotalUsed;
    }

    function lengthen(uint64 duration) private returns (uint256) {
        vm.prank(alice);
        ledger.extend{value: uint256(PRICE) * duration}(feed, alice, duration);
        return vm.lastCallGas().gasTotalUsed;
    }

    function leave(address who) private returns (uint256) {
        vm.prank(who);
        ledger.cancel(feed, who, who);
        return vm.lastCallGas().gasTotalUsed;
    }

    function collect() private returns (uint256) {
        vm.prank(owner);
        ledger.withdraw(feed, 10_000);
        return vm.lastCallGas().gasTotalUsed;
    }
}
