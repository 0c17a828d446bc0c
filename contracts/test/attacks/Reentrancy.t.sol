// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../../src/IFeedLedger.sol";
import {LedgerTest} from "../LedgerTest.sol";
import {Reentrant} from "../Recipients.sol";

/// @dev Attack: the recipient of a payment calls the ledger back. The attacker owns a feed, subscribes to it and is paid
/// by it, so that whatever it does rightfully ends where it began; Bob's money in the same ledger is the prey.
contract ReentrancyAttack is LedgerTest {
    uint256 private constant WEALTH = 1e18;

    Reentrant private _attacker;
    bytes32 private _prey;

    function setUp() public override {
        super.setUp();
        _prey = feed;
        subscribe(bob, bob, 10 hours);
        _attacker = new Reentrant(ledger);
        vm.deal(address(_attacker), WEALTH);
        bytes32 name = "trap";
        bytes memory consent = consentOf(OTHER_DEVICE_KEY, name, address(_attacker), deadline());
        vm.prank(address(_attacker));
        feed = ledger.openFeed(
            otherDevice, name, PRICE, address(_attacker), address(_attacker), LISTING, deadline(), consent
        );
        subscribe(address(_attacker), address(_attacker), 10 hours);
        subscribe(address(_attacker), alice, 5000);
        vm.prank(address(_attacker));
        ledger.transferFeed(feed, address(_attacker));
        at(2 hours + 5);
    }

    function test_CancelIsRefusedInsideTheRefund() public {
        bytes memory again = abi.encodeCall(IFeedLedger.cancel, (feed, address(_attacker), address(_attacker)));
        _attacker.callBackWith(again, 0);
        cancel(address(_attacker), address(_attacker));
        assertTrue(_attacker.calledBack());
        assertFalse(_attacker.succeeded());
        assertEq(_attacker.answer(), abi.encodeWithSelector(IFeedLedger.SubscriptionNotLive.selector, 7205, 7205));
    }

    function test_WithdrawPaysNothingMoreInsideThePayout() public {
        _attacker.callBackWith(abi.encodeCall(IFeedLedger.withdraw, (feed, ALL)), 0);
        vm.prank(address(_attacker));
        assertGt(ledger.withdraw(feed, ALL), 0);
        assertTrue(_attacker.succeeded());
        assertEq(abi.decode(_attacker.answer(), (uint256)), 0);
    }

    function test_EveryFunctionInsideARefund() public {
        attackWithEveryCallback(abi.encodeCall(IFeedLedger.cancel, (feed, address(_attacker), address(_attacker))));
    }

    function test_EveryFunctionInsideAPayout() public {
        attackWithEveryCallback(abi.encodeCall(IFeedLedger.withdraw, (feed, 1)));
    }

    function attackWithEveryCallback(bytes memory entry) private {
        (bytes[] memory callbacks, uint256[] memory values) = everyFunction();
        for (uint256 i; i < callbacks.length; ++i) {
            uint256 snapshot = vm.snapshotState();
            _attacker.callBackWith(callbacks[i], values[i]);
            vm.prank(address(_attacker));
            (bool success,) = address(ledger).call(entry);
            assertTrue(success);
            assertTrue(_attacker.calledBack(), "the attack took place");
            assertNothingWasGained();
            vm.revertToState(snapshot);
        }
    }

    /// @dev After everything is cancelled and withdrawn the attacker has what it had, and Bob's money is all there.
    function assertNothingWasGained() private {
        vm.startPrank(address(_attacker));
        IFeedLedger.ClockView memory clock = ledger.clockOf(feed);
        if (clock.retiresAt == 0) ledger.retire(feed);
        if (clock.pausedAt != 0) ledger.resume(feed);
        vm.warp(vm.getBlockTimestamp() + 1 hours);
        address[3] memory beneficiaries = [address(_attacker), alice, stranger];
        for (uint256 i; i < beneficiaries.length; ++i) {
            if (subscription(address(_attacker), beneficiaries[i]).expiry <= feedTime()) continue;
            ledger.cancel(feed, beneficiaries[i], address(_attacker));
        }
        ledger.setPayout(feed, address(_attacker));
        ledger.withdraw(feed, ALL);
        vm.stopPrank();
        assertEq(address(_attacker).balance, WEALTH);
        assertEq(address(ledger).balance, uint256(PRICE) * 10 hours);
        uint256 used = ledger.clockOf(_prey).feedTime;
        vm.prank(bob);
        assertEq(ledger.cancel(_prey, bob, bob), uint256(PRICE) * (10 hours - used));
        vm.prank(owner);
        assertEq(ledger.withdraw(_prey, ALL), uint256(PRICE) * used);
    }

    /// @dev Each call is one that the attacker may make, so that nothing but the state of the books stops it.
    function everyFunction() private view returns (bytes[] memory callbacks, uint256[] memory values) {
        address me = address(_attacker);
        bytes memory open = consentOf(OTHER_DEVICE_KEY, "second", me, deadline());
        bytes memory replace = consentOf(OTHER_DEVICE_KEY, "trap", me, deadline());
        (callbacks, values) = (new bytes[](16), new uint256[](16));
        callbacks[0] =
            abi.encodeCall(IFeedLedger.openFeed, (otherDevice, "second", PRICE, me, me, LISTING, deadline(), open));
        callbacks[1] = abi.encodeCall(IFeedLedger.setPrice, (feed, type(uint96).max));
        callbacks[2] = abi.encodeCall(IFeedLedger.setPayout, (feed, stranger));
        callbacks[3] = abi.encodeCall(IFeedLedger.setPauser, (feed, stranger));
        callbacks[4] = abi.encodeCall(IFeedLedger.setListing, (feed, bytes32(0)));
        callbacks[5] = abi.encodeCall(IFeedLedger.setDevice, (feed, otherDevice, deadline(), replace));
        callbacks[6] = abi.encodeCall(IFeedLedger.transferFeed, (feed, stranger));
        callbacks[7] = abi.encodeCall(IFeedLedger.acceptFeed, (feed));
        callbacks[8] = abi.encodeCall(IFeedLedger.pause, (feed));
        callbacks[9] = abi.encodeCall(IFeedLedger.resume, (feed));
        callbacks[10] = abi.encodeCall(IFeedLedger.retire, (feed));
        callbacks[11] = abi.encodeCall(IFeedLedger.withdraw, (feed, ALL));
        callbacks[12] = abi.encodeCall(IFeedLedger.settle, (feed, ALL));
        callbacks[13] = abi.encodeCall(IFeedLedger.subscribe, (feed, stranger, 3600, PRICE, LISTING));
        callbacks[14] = abi.encodeCall(IFeedLedger.extend, (feed, me, 3600));
        callbacks[15] = abi.encodeCall(IFeedLedger.cancel, (feed, me, me));
        (values[13], values[14]) = (uint256(PRICE) * 3600, uint256(PRICE) * 3600);
    }
}
