// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {LedgerTest} from "../LedgerTest.sol";

/// @dev Attack: many tiny subscriptions make a payout dear, one used hour each, for as far ahead as one may buy.
contract FloodAttack is LedgerTest {
    /// @dev Hours in 366 days: no more can be marked at once.
    uint256 private constant HOURS = 8784;
    uint256 private constant STEP = 244;
    /// @dev Gas per used hour, clearing it included, and for everything else of a step.
    uint256 private constant PER_HOUR = 12_000;
    uint256 private constant PER_STEP = 60_000;

    function setUp() public override {
        super.setUp();
        vm.prank(owner);
        ledger.setPrice(feed, 1);
        for (uint64 i = 1; i <= HOURS; ++i) {
            vm.prank(alice);
            ledger.subscribe{value: i * 3600}(feed, address(uint160(i)), i * 3600, 1, LISTING);
        }
    }

    function test_AFloodOfUsedHoursIsWithdrawnInSteps() public {
        at(HOURS * 3600);
        uint256 paid;
        for (uint256 i; i < HOURS / STEP; ++i) {
            uint256 before = gasleft();
            uint256 step = withdraw(STEP);
            assertLe(before - gasleft(), PER_STEP + STEP * PER_HOUR, "gas of a step");
            assertGt(step, 0);
            paid += step;
        }
        assertEq(paid, HOURS * (HOURS + 1) / 2 * 3600);
        assertEq(address(ledger).balance, 0);
    }

    /// @dev The flood costs its author, and nobody else: a newcomer and a leaver pay what they always pay.
    function test_AFloodCostsNobodyElse() public {
        at(HOURS / 2 * 3600);
        uint256 before = gasleft();
        vm.prank(bob);
        ledger.subscribe{value: 3600}(feed, bob, 3600, 1, LISTING);
        assertLe(before - gasleft(), 97_000);
        before = gasleft();
        cancel(bob, bob);
        assertLe(before - gasleft(), 60_000);
    }

    function test_SettlingInManySmallStepsKeepsEveryWei() public {
        at(1000 * 3600 + 1800);
        uint256 all = ledger.withdrawableOf(feed);
        uint256 snapshot = vm.snapshotState();
        uint256 atOnce = withdraw(ALL);
        vm.revertToState(snapshot);
        for (uint256 i; i < 1000; ++i) {
            vm.prank(stranger);
            ledger.settle(feed, i % 3);
            if (i % 100 == 0) assertEq(ledger.withdrawableOf(feed), all);
        }
        assertEq(withdraw(ALL), all);
        assertEq(atOnce, all);
    }
}
