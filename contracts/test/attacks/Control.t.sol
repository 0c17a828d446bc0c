// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../../src/IFeedLedger.sol";
import {LedgerTest} from "../LedgerTest.sol";

/// @dev Attacks on who may do what: forged, replayed and old consents, pauses, retirement, and feeds that change hands.
contract ControlAttack is LedgerTest {
    bytes32 private constant SECOND = "back door";

    // ---------------------------------------------------------------------------------------------- signatures

    function expectNotConsented(bytes32 digest, bytes memory consent, address device_) private {
        (bytes32 r, bytes32 s, uint8 v) = (word(consent, 0), word(consent, 1), uint8(consent[64]));
        address recovered = ecrecover(digest, v, r, s);
        expectError(abi.encodeWithSelector(IFeedLedger.InvalidDeviceSignature.selector, recovered, device_));
    }

    function test_ListingSomebodyElsesDevice() public {
        uint64 until = deadline();
        bytes memory forged = sign(OTHER_DEVICE_KEY, authorizationDigest(device, SECOND, stranger, until));
        expectError(abi.encodeWithSelector(IFeedLedger.InvalidDeviceSignature.selector, otherDevice, device));
        vm.prank(stranger);
        ledger.openFeed(device, SECOND, PRICE, stranger, stranger, LISTING, until, forged);
    }

    /// @dev A stranger sees the owner's transaction and sends the same consent first.
    function test_TheOwnersConsentIsOfNoUseToAStranger() public {
        uint64 until = deadline();
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, until);
        expectNotConsented(authorizationDigest(device, SECOND, stranger, until), consent, device);
        vm.prank(stranger);
        ledger.openFeed(device, SECOND, PRICE, stranger, stranger, LISTING, until, consent);
    }

    function test_ConsentIsNotReplayedOnAnotherChain() public {
        uint64 until = deadline();
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, until);
        vm.chainId(block.chainid + 1);
        expectNotConsented(authorizationDigest(device, SECOND, owner, until), consent, device);
        open(SECOND, until, consent);
    }

    function test_ConsentIsNotReplayedOnAnotherContract() public {
        uint64 until = deadline();
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, until);
        ledger = IFeedLedger(deployCode("FeedLedger.sol:FeedLedger"));
        expectNotConsented(authorizationDigest(device, SECOND, owner, until), consent, device);
        open(SECOND, until, consent);
    }

    function test_AMalleableConsentIsRefused() public {
        uint64 until = deadline();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(DEVICE_KEY, authorizationDigest(device, SECOND, owner, until));
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        bytes memory twin = abi.encodePacked(r, order - uint256(s), v == 27 ? uint8(28) : uint8(27));
        expectError(abi.encodeWithSelector(IFeedLedger.InvalidDeviceSignature.selector, address(0), device));
        open(SECOND, until, twin);
    }

    function test_AnOldConsentIsRefusedAfterItsDeadline() public {
        uint64 until = uint64(START + 100);
        bytes memory consent = consentOf(DEVICE_KEY, SECOND, owner, until);
        at(101);
        expectError(abi.encodeWithSelector(IFeedLedger.DeadlinePassed.selector, START + 101, until));
        open(SECOND, until, consent);
        consent = consentOf(OTHER_DEVICE_KEY, NAME, owner, until);
        expectError(abi.encodeWithSelector(IFeedLedger.DeadlinePassed.selector, START + 101, until));
        vm.prank(owner);
        ledger.setDevice(feed, otherDevice, until, consent);
    }

    /// @dev The device agreed to be sold by the old owner, not by the new one.
    function test_AnOldConsentIsOfNoUseToTheNewOwner() public {
        uint64 until = deadline();
        bytes memory consent = consentOf(OTHER_DEVICE_KEY, NAME, owner, until);
        handOver(bob);
        expectNotConsented(authorizationDigest(otherDevice, NAME, bob, until), consent, otherDevice);
        vm.prank(bob);
        ledger.setDevice(feed, otherDevice, until, consent);
    }

    /// @dev While a consent lasts, its owner may go back to that device, which agreed to just this; nobody else may.
    function test_AnOldConsentAfterAReplacementIsTheOwnersUntilItsDeadline() public {
        uint64 until = deadline();
        bytes memory first = consentOf(DEVICE_KEY, NAME, owner, until);
        setDevice(OTHER_DEVICE_KEY);
        vm.prank(owner);
        ledger.setDevice(feed, device, until, first);
        assertEq(ledger.feedOf(feed).device, device);
        expectUnauthorized(stranger);
        vm.prank(stranger);
        ledger.setDevice(feed, device, until, first);
        // It opens no second feed under the same name.
        expectError(abi.encodeWithSelector(IFeedLedger.FeedExists.selector, feed));
        open(NAME, until, first);
        vm.warp(uint256(until) + 1);
        expectError(abi.encodeWithSelector(IFeedLedger.DeadlinePassed.selector, uint256(until) + 1, until));
        vm.prank(owner);
        ledger.setDevice(feed, device, until, first);
    }

    function test_ADeviceReplacedMidSubscriptionKeepsTheMoney() public {
        subscribe(alice, alice, 2 hours);
        at(1800);
        setDevice(OTHER_DEVICE_KEY);
        assertEq(subscription(alice, alice).expiry, 2 hours);
        extend(alice, alice, 1 hours);
        at(2 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * 2 hours);
        assertEq(cancel(alice, alice), uint256(PRICE) * 1 hours);
        assertEq(address(ledger).balance, 0);
    }

    // -------------------------------------------------------------------------------------------------- clock

    function test_PauseAndResumeInOneBlock() public {
        subscribe(alice, alice, 2 hours);
        at(1 hours);
        for (uint256 i; i < 10; ++i) {
            paused();
            resumed();
        }
        assertEq(ledger.clockOf(feed).pausedTotal, 0);
        assertEq(feedTime(), 1 hours);
        assertEq(withdraw(ALL), uint256(PRICE) * 1 hours);
        assertEq(cancel(alice, alice), uint256(PRICE) * 1 hours);
    }

    function test_ThePauserLiftsTheOwnersPause() public {
        paused();
        expectUnauthorized(pauser);
        vm.prank(pauser);
        ledger.resume(feed);
    }

    /// @dev A pause by whoever is owner and pauser at once stays the owner's when another pauser is named.
    function test_ANewPauserLiftsTheOwnersPause() public {
        paused();
        vm.prank(owner);
        ledger.setPauser(feed, bob);
        expectUnauthorized(bob);
        vm.prank(bob);
        ledger.resume(feed);
    }

    /// @dev The worst that a pauser can do: earnings stand still, and everybody gets what is theirs.
    function test_APauserTrapsNoMoney() public {
        subscribe(alice, alice, 10 hours);
        at(1 hours);
        vm.prank(pauser);
        ledger.pause(feed);
        at(1000 days);
        assertEq(withdraw(ALL), uint256(PRICE) * 1 hours);
        assertEq(cancel(alice, alice), uint256(PRICE) * 9 hours);
        assertEq(address(ledger).balance, 0);
    }

    function test_RetireWithLiveSubscribers() public {
        subscribe(alice, alice, 10 hours);
        subscribe(bob, bob, 3000);
        at(1000);
        retired();
        at(365 days);
        assertEq(withdraw(ALL), uint256(PRICE) * 6600);
        assertEq(cancel(alice, alice), uint256(PRICE) * 9 hours);
        expectNotLive(3000, 3600);
        cancel(bob, bob);
        assertEq(address(ledger).balance, 0);
    }

    function test_RetireWhilePaused() public {
        subscribe(alice, alice, 10 hours);
        subscribe(bob, bob, 10 hours);
        at(1000);
        paused();
        at(5 days);
        retired();
        assertEq(cancel(alice, alice), uint256(PRICE) * 35_000);
        // Hers are whole seconds that nothing can change; his may still end within the hour.
        assertEq(withdraw(ALL), uint256(PRICE) * 1000);
        resumed();
        at(10 days);
        assertEq(withdraw(ALL), uint256(PRICE) * 3600);
        assertEq(cancel(bob, bob), uint256(PRICE) * 9 hours);
        assertEq(address(ledger).balance, 0);
    }

    // ------------------------------------------------------------------------------------------------ transfer

    function test_TransferOfAFeedWithMoneyInIt() public {
        subscribe(alice, alice, 10 hours);
        at(2 hours);
        handOver(bob);
        expectError(abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, owner, bob));
        withdraw(ALL);
        uint256 before = bob.balance;
        vm.prank(bob);
        assertEq(ledger.withdraw(feed, ALL), uint256(PRICE) * 2 hours);
        assertEq(bob.balance - before, uint256(PRICE) * 2 hours);
        assertEq(cancel(alice, alice), uint256(PRICE) * 8 hours);
        assertEq(payout.balance, 0);
        assertEq(address(ledger).balance, 0);
    }

    function test_AnOfferThatWasTakenBackIsWorthless() public {
        vm.startPrank(owner);
        ledger.transferFeed(feed, bob);
        ledger.transferFeed(feed, alice);
        vm.stopPrank();
        expectError(abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, bob, alice));
        vm.prank(bob);
        ledger.acceptFeed(feed);
    }

    // ------------------------------------------------------------------------------------------------- helpers

    function open(bytes32 name, uint64 until, bytes memory consent) private {
        vm.prank(owner);
        ledger.openFeed(device, name, PRICE, payout, pauser, LISTING, until, consent);
    }

    function setDevice(uint256 key) private {
        bytes memory consent = consentOf(key, NAME, owner, deadline());
        vm.prank(owner);
        ledger.setDevice(feed, vm.addr(key), deadline(), consent);
    }

    function handOver(address to) private {
        vm.prank(owner);
        ledger.transferFeed(feed, to);
        vm.prank(to);
        ledger.acceptFeed(feed);
    }

    function word(bytes memory data, uint256 index) private pure returns (bytes32 value) {
        for (uint256 i; i < 32; ++i) {
            value |= bytes32(data[32 * index + i]) >> (8 * i);
        }
    }
}
