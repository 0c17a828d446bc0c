// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../../src/IFeedLedger.sol";
import {LedgerTest} from "../LedgerTest.sol";
import {Forcer, GasBurner, Refuser, ReturnBomb} from "../Recipients.sol";

/// @dev Attacks by whoever is paid: refusing, burning gas, answering with megabytes; and money that nobody asked for.
contract RecipientAttack is LedgerTest {
    function setUp() public override {
        super.setUp();
        subscribe(alice, alice, 10 hours);
        subscribe(bob, bob, 10 hours);
        at(1 hours);
    }

    function test_ARevertingRecipientHarmsOnlyItsOwnCall() public {
        assertHarmsOnlyItself(address(new Refuser()));
    }

    function test_AGasBurningRecipientHarmsOnlyItsOwnCall() public {
        assertHarmsOnlyItself(address(new GasBurner()));
    }

    function test_ARevertingReturnBombHarmsOnlyItsOwnCall() public {
        assertHarmsOnlyItself(address(new ReturnBomb(true)));
    }

    function test_AReturnBombIsNotCopiedByARefund() public {
        ReturnBomb bomb = new ReturnBomb(false);
        vm.prank(alice);
        uint256 before = gasleft();
        ledger.cancel(feed, alice, address(bomb));
        assertNotCopied(before - gasleft(), bomb);
        assertEq(address(bomb).balance, uint256(PRICE) * 9 hours);
    }

    function test_AReturnBombIsNotCopiedByAPayout() public {
        ReturnBomb bomb = new ReturnBomb(false);
        vm.startPrank(owner);
        ledger.setPayout(feed, address(bomb));
        uint256 before = gasleft();
        ledger.withdraw(feed, ALL);
        assertNotCopied(before - gasleft(), bomb);
        assertEq(address(bomb).balance, uint256(PRICE) * 2 hours);
    }

    function test_ForcedEtherBySelfdestructChangesNothing() public {
        uint256 withdrawable = ledger.withdrawableOf(feed);
        vm.deal(address(this), 1 ether);
        new Forcer{value: 1 ether}(payable(address(ledger)));
        assertForcedEtherStays(withdrawable);
    }

    function test_ForcedEtherByABlockRewardChangesNothing() public {
        uint256 withdrawable = ledger.withdrawableOf(feed);
        vm.coinbase(address(ledger));
        vm.deal(address(ledger), address(ledger).balance + 1 ether);
        assertForcedEtherStays(withdrawable);
    }

    /// @dev ETH that waits at the ledger's future address is nobody's either.
    function test_ForcedEtherBeforeTheDeploymentChangesNothing() public {
        address future = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        vm.deal(future, 1 ether);
        ledger = IFeedLedger(deployCode("FeedLedger.sol:FeedLedger"));
        assertEq(address(ledger), future);
        feed = openFeed(NAME, PRICE);
        subscribe(alice, alice, 3600);
        vm.warp(vm.getBlockTimestamp() + 3600);
        assertEq(withdraw(ALL), uint256(PRICE) * 3600);
        assertEq(address(ledger).balance, 1 ether);
    }

    /// @dev Whoever named the recipient gets an error and may name another; everybody else is untouched.
    function assertHarmsOnlyItself(address recipient) private {
        bytes memory refund = abi.encodeCall(IFeedLedger.cancel, (feed, alice, recipient));
        assertPaymentFails(alice, refund, recipient, uint256(PRICE) * 9 hours);
        vm.prank(owner);
        ledger.setPayout(feed, recipient);
        bytes memory payoff = abi.encodeCall(IFeedLedger.withdraw, (feed, ALL));
        assertPaymentFails(owner, payoff, recipient, uint256(PRICE) * 2 hours);

        assertEq(cancel(bob, bob), uint256(PRICE) * 9 hours);
        assertEq(cancel(alice, alice), uint256(PRICE) * 9 hours);
        vm.prank(owner);
        ledger.setPayout(feed, payout);
        assertEq(withdraw(ALL), uint256(PRICE) * 2 hours);
        assertEq(address(ledger).balance, 0);
    }

    function assertPaymentFails(address caller, bytes memory call_, address recipient, uint256 amount) private {
        vm.prank(caller);
        (bool success, bytes memory reason) = address(ledger).call{gas: 10_000_000}(call_);
        assertFalse(success);
        assertEq(reason, abi.encodeWithSelector(IFeedLedger.PaymentFailed.selector, recipient, amount));
    }

    /// @dev Copying a megabyte would cost what building it cost, two million gas, once more.
    function assertNotCopied(uint256 used, ReturnBomb bomb) private view {
        assertGt(bomb.spent(), 2_000_000);
        assertLt(used, bomb.spent() + 150_000);
    }

    function assertForcedEtherStays(uint256 withdrawable) private {
        assertEq(ledger.withdrawableOf(feed), withdrawable);
        assertEq(withdraw(ALL), withdrawable);
        assertEq(cancel(alice, alice), uint256(PRICE) * 9 hours);
        assertEq(cancel(bob, bob), uint256(PRICE) * 9 hours);
        assertEq(address(ledger).balance, 1 ether);
    }
}
