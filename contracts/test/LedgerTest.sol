// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {IFeedLedger} from "../src/IFeedLedger.sol";
import {Consent} from "./Consent.sol";

/// @dev A ledger with one open feed, people with money, and the words that the tests are written in.
abstract contract LedgerTest is Test {
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant HOUR = 3600;
    uint256 internal constant ALL = type(uint256).max;
    uint96 internal constant PRICE = 1_000_003;
    bytes32 internal constant NAME = "front door";
    bytes32 internal constant LISTING = keccak256("listing");
    uint256 internal constant DEVICE_KEY = 0xde1ce;
    uint256 internal constant OTHER_DEVICE_KEY = 0xde2ce;

    IFeedLedger internal ledger;
    bytes32 internal feed;

    address internal device = vm.addr(DEVICE_KEY);
    address internal otherDevice = vm.addr(OTHER_DEVICE_KEY);
    address internal owner = makeAddr("owner");
    address internal payout = makeAddr("payout");
    address internal pauser = makeAddr("pauser");
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");
    address internal stranger = makeAddr("stranger");

    function setUp() public virtual {
        vm.warp(START);
        ledger = IFeedLedger(deployCode("FeedLedger.sol:FeedLedger"));
        feed = openFeed(NAME, PRICE);
        vm.deal(alice, 1e30);
        vm.deal(bob, 1e30);
    }

    // ------------------------------------------------------------------------------------------------- states

    /// @dev Moves the chain's clock to this many seconds after the feed was opened.
    function at(uint256 second) internal {
        vm.warp(START + second);
    }

    function paused() internal {
        vm.prank(owner);
        ledger.pause(feed);
    }

    function resumed() internal {
        vm.prank(owner);
        ledger.resume(feed);
    }

    function retired() internal {
        vm.prank(owner);
        ledger.retire(feed);
    }

    // -------------------------------------------------------------------------------------------------- verbs

    function openFeed(bytes32 name, uint96 price) internal returns (bytes32) {
        bytes memory consent = consentOf(DEVICE_KEY, name, owner, deadline());
        vm.prank(owner);
        return ledger.openFeed(device, name, price, payout, pauser, LISTING, deadline(), consent);
    }

    function subscribe(address payer, address beneficiary, uint64 duration) internal returns (uint64 expiry) {
        uint96 price = ledger.feedOf(feed).price;
        vm.prank(payer);
        return ledger.subscribe{value: uint256(price) * duration}(feed, beneficiary, duration, price, LISTING);
    }

    function extend(address payer, address beneficiary, uint64 duration) internal returns (uint64 expiry) {
        uint256 cost = uint256(ledger.subscriptionOf(feed, payer, beneficiary).price) * duration;
        vm.prank(payer);
        return ledger.extend{value: cost}(feed, beneficiary, duration);
    }

    function cancel(address payer, address beneficiary) internal returns (uint256 refund) {
        vm.prank(payer);
        return ledger.cancel(feed, beneficiary, payer);
    }

    function withdraw(uint256 maxBuckets) internal returns (uint256 paid) {
        vm.prank(owner);
        return ledger.withdraw(feed, maxBuckets);
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function deadline() internal view returns (uint64) {
        return uint64(vm.getBlockTimestamp() + 1 days);
    }

    function consentOf(uint256 key, bytes32 name, address owner_, uint64 until) internal view returns (bytes memory) {
        return Consent.sign(key, address(ledger), name, owner_, until);
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        return Consent.sign(key, digest);
    }

    function authorizationDigest(address device_, bytes32 name, address owner_, uint64 until)
        internal
        view
        returns (bytes32)
    {
        return Consent.digest(block.chainid, address(ledger), device_, name, owner_, until);
    }

    function feedTime() internal view returns (uint64) {
        return ledger.clockOf(feed).feedTime;
    }

    function subscription(address payer, address beneficiary) internal view returns (IFeedLedger.Subscription memory) {
        return ledger.subscriptionOf(feed, payer, beneficiary);
    }

    /// @dev The next call must revert with exactly this error.
    function expectError(bytes memory err) internal {
        vm.expectRevert(err);
    }

    function expectUnauthorized(address caller) internal {
        expectError(abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, caller, owner));
    }

    function expectUnknown(bytes32 id) internal {
        expectError(abi.encodeWithSelector(IFeedLedger.FeedUnknown.selector, id));
    }

    function expectPaused(uint64 pausedAt) internal {
        expectError(abi.encodeWithSelector(IFeedLedger.FeedPaused.selector, feed, pausedAt));
    }

    function expectRetired(uint64 retiresAt) internal {
        expectError(abi.encodeWithSelector(IFeedLedger.FeedRetired.selector, feed, retiresAt));
    }

    function expectNotLive(uint64 expiry, uint64 now_) internal {
        expectError(abi.encodeWithSelector(IFeedLedger.SubscriptionNotLive.selector, expiry, now_));
    }
}
