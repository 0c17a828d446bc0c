// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {IFeedLedger} from "../../src/IFeedLedger.sol";
import {LedgerHandler} from "./LedgerHandler.sol";

/// @dev What holds after every call, whatever was called before. Each invariant is a campaign of its own; the long
/// form runs `invariant_All` alone, which checks the eight of them after each of its calls.
contract InvariantsTest is Test {
    uint256 private constant FEEDS = 4;

    IFeedLedger private _ledger;
    LedgerHandler private _handler;

    function setUp() public {
        vm.warp(1_800_000_000);
        _ledger = IFeedLedger(deployCode("FeedLedger.sol:FeedLedger"));
        _handler = new LedgerHandler(_ledger);
        targetContract(address(_handler));
        targetSelector(FuzzSelector({addr: address(_handler), selectors: actions()}));
    }

    /// @dev The balance is what was earned and not paid, what can be refunded, and what was forced upon the ledger.
    function invariant_1_TheBalanceIsWhatIsOwed() public view {
        uint256 owed = _handler.forced();
        for (uint256 i; i < FEEDS; ++i) {
            (uint256 earned, uint256 refundable,,) = _handler.sums(i);
            owed += earned - _handler.withdrawnOf(i) + refundable;
        }
        assertEq(address(_ledger).balance, owed);
        assertEq(_handler.violations(1), 0, "every end is the start and the duration");
    }

    function invariant_2_TheRateIsTheSumOfPricesNotEndedAtTheSettledTime() public view {
        for (uint256 i; i < FEEDS; ++i) {
            (,,, uint256 rate) = _handler.sums(i);
            assertEq(_handler.rateOf(i), rate);
        }
    }

    function invariant_3_FeedTimeAndSettledTimeNeverFall() public view {
        assertEq(_handler.violations(3), 0);
    }

    /// @dev Nothing is paid before it is earned, and full hours are to be had to the wei.
    function invariant_4_WithdrawnIsNeverAboveEarned() public view {
        assertEq(_handler.violations(4), 0);
        for (uint256 i; i < FEEDS; ++i) {
            (bytes32 feed,,) = _handler.timesOf(i);
            (uint256 earned,, uint256 safe,) = _handler.sums(i);
            assertLe(_handler.withdrawnOf(i), earned);
            assertEq(_ledger.withdrawableOf(feed), safe);
        }
    }

    /// @dev Looked at before and after every wait.
    function invariant_5_NothingIsEarnedWhilePausedOrRetired() public view {
        assertEq(_handler.violations(5), 0);
    }

    /// @dev Every cancel of a live subscription, in whatever state, gave its payer the exact rest, once.
    function invariant_6_CancelDependsOnNobody() public view {
        assertEq(_handler.violations(6), 0);
    }

    /// @dev Looked at before and after every call that names a feed.
    function invariant_7_FeedsNeverTouchEachOthersMoney() public view {
        assertEq(_handler.violations(7), 0);
    }

    /// @dev At the last boundary, what is not paid or refundable can be paid to the wei. See `afterInvariant` too.
    function invariant_8_ARetiredFeedCanBePaidOut() public view {
        assertEq(_handler.violations(8), 0);
        for (uint256 i; i < FEEDS; ++i) {
            (bytes32 feed, uint256 time, uint256 retiresAt) = _handler.timesOf(i);
            if (retiresAt == 0 || time != retiresAt) continue;
            (uint256 earned,,,) = _handler.sums(i);
            assertEq(_ledger.withdrawableOf(feed), earned - _handler.withdrawnOf(i));
        }
    }

    function invariant_All() public view {
        invariant_1_TheBalanceIsWhatIsOwed();
        invariant_2_TheRateIsTheSumOfPricesNotEndedAtTheSettledTime();
        invariant_3_FeedTimeAndSettledTimeNeverFall();
        invariant_4_WithdrawnIsNeverAboveEarned();
        invariant_5_NothingIsEarnedWhilePausedOrRetired();
        invariant_6_CancelDependsOnNobody();
        invariant_7_FeedsNeverTouchEachOthersMoney();
        invariant_8_ARetiredFeedCanBePaidOut();
    }

    /// @dev Invariant 8 in deed: all feeds retire, all payers cancel, all owners withdraw, and nothing is left.
    function afterInvariant() public {
        _handler.finish();
        invariant_All();
        assertEq(address(_ledger).balance, _handler.forced());
    }

    /// @dev A handler that refuses most of what it is asked proves little: over fixed histories it does everything.
    function test_TheHandlerDoesEverything() public {
        string[18] memory things = [
            "wait",
            "subscribe",
            "extend",
            "cancel",
            "withdraw",
            "settle",
            "pause",
            "resume",
            "setTerms",
            "setPayout",
            "replaceDevice",
            "handOver",
            "retire",
            "force",
            "refused refund",
            "refused payout",
            "withdraw within a payment",
            "subscribe within a payment"
        ];
        uint256[18] memory done;
        bytes4[] memory selectors = actions();
        for (uint256 i; i < 4000; ++i) {
            if (i % 250 == 0) setUp();
            uint256 seed = uint256(keccak256(abi.encode(i)));
            bytes memory arguments = abi.encode(seed >> 8, uint96(seed >> 80), seed >> 100, seed >> 160);
            (bool success,) = address(_handler).call(bytes.concat(selectors[seed % selectors.length], arguments));
            assertTrue(success);
            if (i % 25 == 0) invariant_All();
            if (i % 250 != 249) continue;
            afterInvariant();
            for (uint256 j; j < things.length; ++j) {
                done[j] += _handler.done(things[j]);
            }
        }
        for (uint256 j; j < things.length; ++j) {
            emit log_named_uint(things[j], done[j]);
            assertGt(done[j], 0, things[j]);
        }
    }

    function actions() private pure returns (bytes4[] memory selectors) {
        selectors = new bytes4[](17);
        selectors[0] = LedgerHandler.waitSeconds.selector;
        selectors[1] = LedgerHandler.waitHours.selector;
        selectors[2] = LedgerHandler.waitForTheHour.selector;
        selectors[3] = LedgerHandler.waitDays.selector;
        selectors[4] = LedgerHandler.subscribe.selector;
        selectors[5] = LedgerHandler.extend.selector;
        selectors[6] = LedgerHandler.cancel.selector;
        selectors[7] = LedgerHandler.withdraw.selector;
        selectors[8] = LedgerHandler.settle.selector;
        selectors[9] = LedgerHandler.pause.selector;
        selectors[10] = LedgerHandler.resume.selector;
        selectors[11] = LedgerHandler.setTerms.selector;
        selectors[12] = LedgerHandler.setPayout.selector;
        selectors[13] = LedgerHandler.replaceDevice.selector;
        selectors[14] = LedgerHandler.handOver.selector;
        selectors[15] = LedgerHandler.retire.selector;
        selectors[16] = LedgerHandler.force.selector;
    }
}
