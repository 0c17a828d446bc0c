// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";
import {LedgerTest} from "./LedgerTest.sol";

/// @dev Every argument of every function. The bounded forms say what must happen; the unbounded ones take any value and
/// compare the outcome with the rules, written out here once more.
contract FuzzTest is LedgerTest {
    // ------------------------------------------------------------------------------------------------ bounded

    function testFuzz_RefundAndEarningsMakeThePayment(uint96 price, uint64 duration, uint64 start, uint64 used) public {
        price = uint96(bound(price, 1, 1e24));
        duration = uint64(bound(duration, 60, 366 days));
        start = uint64(bound(start, 0, 1000 days));
        used = uint64(bound(used, 0, duration - 1));
        vm.prank(owner);
        ledger.setPrice(feed, price);
        vm.deal(alice, type(uint128).max);
        at(start);
        subscribe(alice, alice, duration);
        at(uint256(start) + used);
        uint256 early = withdraw(ALL);
        assertLe(early, uint256(price) * used);
        assertEq(cancel(alice, alice), uint256(price) * (duration - used));
        assertEq(early + withdraw(ALL), uint256(price) * used);
        assertEq(address(ledger).balance, 0);
    }

    function testFuzz_FeedTimeIsTheOpenTime(uint32[6] calldata gaps) public {
        uint256 now_ = START;
        uint256 open;
        for (uint256 i; i < gaps.length; ++i) {
            now_ += gaps[i];
            vm.warp(now_);
            if (i % 2 == 0) {
                open += gaps[i];
                paused();
            } else {
                resumed();
            }
            assertEq(feedTime(), open);
        }
    }

    function testFuzz_ExtendInTwoStepsIsExtendInOne(uint64 first, uint64 second, uint64 used) public {
        first = uint64(bound(first, 60, 100 days));
        second = uint64(bound(second, 60, 100 days));
        used = uint64(bound(used, 0, 3599));
        subscribe(alice, alice, 3600);
        subscribe(bob, bob, 3600);
        at(used);
        extend(alice, alice, first);
        assertEq(extend(alice, alice, second), extend(bob, bob, first + second));
        at(366 days);
        assertEq(withdraw(ALL), 2 * uint256(PRICE) * (3600 + first + second));
        assertEq(address(ledger).balance, 0);
    }

    function testFuzz_AnyNumberOfBucketsPaysTheSameInTheEnd(uint256[4] calldata steps, uint64 duration) public {
        duration = uint64(bound(duration, 60, 366 days));
        subscribe(alice, alice, duration);
        subscribe(bob, bob, 366 days);
        at(400 days);
        uint256 paid;
        for (uint256 i; i < steps.length; ++i) {
            ledger.settle(feed, steps[i] % 2);
            paid += withdraw(steps[i]);
        }
        assertEq(paid + withdraw(ALL), uint256(PRICE) * (uint256(duration) + 366 days));
        assertEq(address(ledger).balance, 0);
    }

    function testFuzz_RetireStopsWithinTheHour(uint64 time, uint64 later) public {
        at(bound(time, 0, 5000 days));
        uint64 retiredAt = feedTime();
        retired();
        uint64 boundary = ledger.clockOf(feed).retiresAt;
        assertEq(boundary, (retiredAt / 3600 + 1) * 3600);
        at(uint256(retiredAt) + bound(later, 0, 5000 days));
        assertLe(feedTime(), boundary);
    }

    // ---------------------------------------------------------------------------------------------- unbounded

    function testFuzz_Subscribe(uint64 duration, uint96 price, uint96 maxPrice, address beneficiary, uint160 value)
        public
    {
        vm.assume(price != 0);
        vm.prank(owner);
        ledger.setPrice(feed, price);
        uint256 exact = uint256(price) * duration;
        // Half of the time the payment is right.
        if (value % 2 == 0) value = uint160(exact);
        vm.deal(alice, value);
        bytes memory expected;
        if (beneficiary == address(0)) {
            expected = abi.encodeWithSelector(IFeedLedger.ZeroAddress.selector);
        } else if (price > maxPrice) {
            expected = abi.encodeWithSelector(IFeedLedger.PriceAboveMax.selector, price, maxPrice);
        } else if (duration < 60 || duration > 366 days) {
            expected = abi.encodeWithSelector(IFeedLedger.DurationOutOfBounds.selector, duration, 60, 366 days);
        } else if (value != exact) {
            expected = abi.encodeWithSelector(IFeedLedger.WrongPayment.selector, value, exact);
        }
        bytes memory call_ = abi.encodeCall(IFeedLedger.subscribe, (feed, beneficiary, duration, maxPrice, LISTING));
        check(alice, call_, value, expected);
        if (expected.length == 0) assertEq(subscription(alice, beneficiary).expiry, duration);
        assertEq(address(ledger).balance, expected.length == 0 ? exact : 0);
    }

    function testFuzz_SubscribeWithAnyListing(bytes32 listing) public {
        bytes memory expected;
        if (listing != LISTING) {
            expected = abi.encodeWithSelector(IFeedLedger.ListingMismatch.selector, LISTING, listing);
        }
        bytes memory call_ = abi.encodeCall(IFeedLedger.subscribe, (feed, bob, 60, PRICE, listing));
        check(alice, call_, uint256(PRICE) * 60, expected);
    }

    function testFuzz_Extend(uint64 duration, uint160 value, uint64 used, address beneficiary) public {
        subscribe(alice, alice, 3600);
        used = uint64(bound(used, 0, 7200));
        if (used % 2 == 0) beneficiary = alice;
        at(used);
        uint256 exact = uint256(PRICE) * duration;
        if (value % 2 == 0) value = uint160(exact);
        vm.deal(alice, value);
        uint64 most = used < 3600 ? 366 days - (3600 - used) : 0;
        bytes memory expected;
        if (beneficiary != alice) {
            expected = abi.encodeWithSelector(IFeedLedger.SubscriptionNotLive.selector, 0, used);
        } else if (used >= 3600) {
            expected = abi.encodeWithSelector(IFeedLedger.SubscriptionNotLive.selector, 3600, used);
        } else if (duration < 60 || duration > most) {
            expected = abi.encodeWithSelector(IFeedLedger.DurationOutOfBounds.selector, duration, 60, most);
        } else if (value != exact) {
            expected = abi.encodeWithSelector(IFeedLedger.WrongPayment.selector, value, exact);
        }
        check(alice, abi.encodeCall(IFeedLedger.extend, (feed, beneficiary, duration)), value, expected);
        if (expected.length == 0) assertEq(subscription(alice, alice).expiry, 3600 + duration);
    }

    function testFuzz_CancelByAnyoneForAnyone(address caller, address beneficiary, address to) public {
        vm.assume(to.code.length == 0 && uint160(to) > 0xffff && to != address(vm));
        vm.assume(caller != alice);
        subscribe(alice, alice, 3600);
        bytes memory expected = abi.encodeWithSelector(IFeedLedger.SubscriptionNotLive.selector, 0, 0);
        check(caller, abi.encodeCall(IFeedLedger.cancel, (feed, beneficiary, to)), 0, expected);
        uint256 before = to.balance;
        vm.prank(alice);
        ledger.cancel(feed, alice, to);
        assertEq(to.balance - before, uint256(PRICE) * 3600);
    }

    function testFuzz_OpenFeed(
        bytes32 name,
        uint96 price,
        address payout_,
        address pauser_,
        bytes32 listing,
        uint64 until
    ) public {
        bytes memory consent = consentOf(DEVICE_KEY, name, owner, until);
        bytes memory expected;
        if (name == NAME) expected = abi.encodeWithSelector(IFeedLedger.FeedExists.selector, feed);
        else if (!isName(name)) expected = abi.encodeWithSelector(IFeedLedger.InvalidName.selector, name);
        else if (price == 0) expected = abi.encodeWithSelector(IFeedLedger.ZeroPrice.selector);
        else if (payout_ == address(0)) expected = abi.encodeWithSelector(IFeedLedger.ZeroAddress.selector);
        else if (until < START) expected = abi.encodeWithSelector(IFeedLedger.DeadlinePassed.selector, START, until);
        bytes memory call_ =
            abi.encodeCall(IFeedLedger.openFeed, (device, name, price, payout_, pauser_, listing, until, consent));
        check(owner, call_, 0, expected);
    }

    /// @dev Random words are hardly ever names, so this one is made of any text.
    function testFuzz_OpenFeedWithAnyText(uint256 seed, uint256 length, uint96 price, bytes32 listing) public {
        length = bound(length, 1, 32);
        vm.assume(price != 0);
        bytes32 name;
        for (uint256 i; i < length; ++i) {
            name |= bytes32(0x20 + uint256(keccak256(abi.encode(seed, i))) % 95) << (248 - 8 * i);
        }
        vm.assume(name != NAME);
        bytes memory consent = consentOf(DEVICE_KEY, name, owner, deadline());
        vm.prank(owner);
        bytes32 id = ledger.openFeed(device, name, price, payout, pauser, listing, deadline(), consent);
        assertEq(id, keccak256(abi.encode(device, name)));
        assertEq(ledger.feedOf(id).price, price);
        assertEq(ledger.feedOf(id).listing, listing);
    }

    function testFuzz_AnySignatureBytesAreRefused(bytes calldata signature, address device_, uint64 until) public {
        until = uint64(bound(until, START, type(uint64).max));
        vm.startPrank(owner);
        vm.expectPartialRevert(IFeedLedger.InvalidDeviceSignature.selector);
        ledger.openFeed(device_, "any", PRICE, payout, pauser, LISTING, until, signature);
        vm.expectPartialRevert(IFeedLedger.InvalidDeviceSignature.selector);
        ledger.setDevice(feed, device_, until, signature);
    }

    function testFuzz_OnlyTheDeviceConsents(uint256 key, uint64 until) public {
        key = boundPrivateKey(key);
        until = uint64(bound(until, START, type(uint64).max));
        bytes memory consent = consentOf(key, NAME, owner, until);
        vm.prank(owner);
        ledger.setDevice(feed, vm.addr(key), until, consent);
        assertEq(ledger.feedOf(feed).device, vm.addr(key));
    }

    function testFuzz_Setters(uint96 price, address payout_, address pauser_, bytes32 listing, address to) public {
        bytes memory zero = abi.encodeWithSelector(IFeedLedger.ZeroPrice.selector);
        check(owner, abi.encodeCall(IFeedLedger.setPrice, (feed, price)), 0, price == 0 ? zero : bytes(""));
        zero = abi.encodeWithSelector(IFeedLedger.ZeroAddress.selector);
        check(
            owner, abi.encodeCall(IFeedLedger.setPayout, (feed, payout_)), 0, payout_ == address(0) ? zero : bytes("")
        );
        check(owner, abi.encodeCall(IFeedLedger.setPauser, (feed, pauser_)), 0, "");
        check(owner, abi.encodeCall(IFeedLedger.setListing, (feed, listing)), 0, "");
        check(owner, abi.encodeCall(IFeedLedger.transferFeed, (feed, to)), 0, "");
        IFeedLedger.FeedView memory f = ledger.feedOf(feed);
        assertEq(f.price, price == 0 ? PRICE : price);
        assertEq(f.payout, payout_ == address(0) ? payout : payout_);
        assertEq(f.pauser, pauser_);
        assertEq(f.listing, listing);
        assertEq(f.pendingOwner, to);
    }

    function testFuzz_OnlyTheOwnerMay(address caller, uint256 which, uint256 maxBuckets) public {
        vm.assume(caller != owner && caller != pauser);
        bytes[9] memory calls = ownersCalls(feed, maxBuckets);
        bytes memory expected = abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, caller, owner);
        check(caller, calls[which % calls.length], 0, expected);
        expected = abi.encodeWithSelector(IFeedLedger.Unauthorized.selector, caller, address(0));
        check(caller, abi.encodeCall(IFeedLedger.acceptFeed, (feed)), 0, caller == address(0) ? bytes("") : expected);
    }

    function testFuzz_AnyOtherFeedIsUnknown(bytes32 id, address caller, uint256 which, uint256 maxBuckets) public {
        vm.assume(id != feed);
        bytes[9] memory calls = ownersCalls(id, maxBuckets);
        bytes memory expected = abi.encodeWithSelector(IFeedLedger.FeedUnknown.selector, id);
        check(caller, calls[which % calls.length], 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.acceptFeed, (id)), 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.resume, (id)), 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.settle, (id, maxBuckets)), 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.cancel, (id, caller, caller)), 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.extend, (id, caller, 60)), 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.subscribe, (id, caller, 60, PRICE, LISTING)), 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.feedOf, (id)), 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.clockOf, (id)), 0, expected);
        check(caller, abi.encodeCall(IFeedLedger.withdrawableOf, (id)), 0, expected);
        assertEq(ledger.subscriptionOf(id, caller, caller).expiry, 0);
    }

    // ------------------------------------------------------------------------------------------------ helpers

    function ownersCalls(bytes32 id, uint256 maxBuckets) private view returns (bytes[9] memory) {
        return [
            abi.encodeCall(IFeedLedger.setPrice, (id, 1)),
            abi.encodeCall(IFeedLedger.setPayout, (id, bob)),
            abi.encodeCall(IFeedLedger.setPauser, (id, bob)),
            abi.encodeCall(IFeedLedger.setListing, (id, 0)),
            abi.encodeCall(IFeedLedger.setDevice, (id, device, deadline(), "")),
            abi.encodeCall(IFeedLedger.transferFeed, (id, bob)),
            abi.encodeCall(IFeedLedger.pause, (id)),
            abi.encodeCall(IFeedLedger.retire, (id)),
            abi.encodeCall(IFeedLedger.withdraw, (id, maxBuckets))
        ];
    }

    /// @dev Empty: the call must succeed. Otherwise it must revert with exactly this.
    function check(address caller, bytes memory call_, uint256 value, bytes memory expected) private {
        vm.prank(caller);
        (bool success, bytes memory answer) = address(ledger).call{value: value}(call_);
        assertEq(success, expected.length == 0);
        if (!success) assertEq(answer, expected);
    }

    /// @dev One to 32 printable characters, zeros after them.
    function isName(bytes32 name) private pure returns (bool) {
        bool over;
        for (uint256 i; i < 32; ++i) {
            if (name[i] == 0) over = true;
            else if (over || name[i] < 0x20 || name[i] > 0x7e) return false;
        }
        return name != 0;
    }
}
