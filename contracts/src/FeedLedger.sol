// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {Earnings} from "./Earnings.sol";
import {IFeedLedger} from "./IFeedLedger.sol";

/// @title The ledger of feeds
/// @notice See {IFeedLedger}, which holds the mechanism and its words.
/// @dev Every function checks, then writes, then pays, in that order: a recipient that calls back finds the books closed.
/// The contract never reads its own balance, so forced ETH changes nothing.
// A block's time is the clock. Whoever makes a block sets it within the chain's own rules, and so much of a price may
// move between a subscriber and a provider: seconds are no more exact than the chain that counts them.
// slither-disable-start timestamp
contract FeedLedger is IFeedLedger, EIP712 {
    using Earnings for Earnings.Book;

    /// @dev One slot: what `subscribe`, `extend` and `cancel` decide upon. Forty bits of seconds last until the year
    /// 36812.
    struct Terms {
        uint96 price;
        uint40 base;
        uint40 pausedAt;
        uint40 pausedTotal;
        uint40 retiresAt;
    }

    /// @dev All that belongs to one feed, so that no two feeds share a slot of money:
    ///
    ///    0      | price 96 | base 40 | pausedAt 40 | pausedTotal 40 | retiresAt 40 |   terms
    ///    1..3   see {Earnings}                                                        book
    ///    4      | keccak(beneficiary, keccak(payer, slot 4)) -> | price 96 | start 64 | expiry 64 |
    ///    5      | listing 256 |
    ///    6..11  | owner 160 |, | payout 160 |, | device 160 |, | pauser 160 |, | pendingOwner 160 |, | pausedBy 160 |
    ///    12     | name 256 |
    ///
    /// A subscriber's call reads or writes slots 0 to 5 only; the rest is for the provider's calls.
    struct Feed {
        Terms terms;
        Earnings.Book book;
        mapping(address payer => mapping(address beneficiary => Subscription)) subscriptions;
        bytes32 listing;
        address owner;
        address payout;
        address device;
        address pauser;
        address pendingOwner;
        address pausedBy;
        bytes32 name;
    }

    bytes32 private constant FEED_AUTHORIZATION_TYPEHASH =
        keccak256("FeedAuthorization(address device,bytes32 name,address owner,uint64 deadline)");
    uint64 private constant MIN_DURATION = 60 seconds;
    uint64 private constant MAX_AHEAD = 366 days;

    mapping(bytes32 feed => Feed) private _feeds;

    constructor() EIP712("Ashya", "1") {}

    // ---------------------------------------------------------------------------------------------- provider

    /// @inheritdoc IFeedLedger
    function openFeed(
        address device,
        bytes32 name,
        uint96 price,
        address payout,
        address pauser,
        bytes32 listing,
        uint64 deadline,
        bytes calldata deviceSignature
    ) external returns (bytes32 feed) {
        // Check
        feed = keccak256(abi.encode(device, name));
        Feed storage f = _feeds[feed];
        if (f.terms.base != 0) revert FeedExists(feed);
        _checkName(name);
        if (price == 0) revert ZeroPrice();
        if (payout == address(0)) revert ZeroAddress();
        _checkConsent(device, name, deadline, deviceSignature);

        // Effect
        uint40 base = _timestamp();
        f.terms = Terms({price: price, base: base, pausedAt: 0, pausedTotal: 0, retiresAt: 0});
        f.listing = listing;
        f.owner = msg.sender;
        f.payout = payout;
        f.device = device;
        f.pauser = pauser;
        f.name = name;
        f.book.open();
        emit FeedOpened(feed, device, name, msg.sender, base);
        emit FeedSet(feed, device, price, payout, pauser, listing);
    }

    /// @inheritdoc IFeedLedger
    function setPrice(bytes32 feed, uint96 price) external {
        // Check
        Feed storage f = _ownedUnretired(feed);
        if (price == 0) revert ZeroPrice();

        // Effect
        f.terms.price = price;
        _emitFeedSet(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function setPayout(bytes32 feed, address payout) external {
        // Check
        (Feed storage f,) = _owned(feed);
        if (payout == address(0)) revert ZeroAddress();

        // Effect
        f.payout = payout;
        _emitFeedSet(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function setPauser(bytes32 feed, address pauser) external {
        // Check
        Feed storage f = _ownedUnretired(feed);

        // Effect
        f.pauser = pauser;
        _emitFeedSet(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function setListing(bytes32 feed, bytes32 listing) external {
        // Check
        Feed storage f = _ownedUnretired(feed);

        // Effect
        f.listing = listing;
        _emitFeedSet(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function setDevice(bytes32 feed, address device, uint64 deadline, bytes calldata deviceSignature) external {
        // Check
        Feed storage f = _ownedUnretired(feed);
        _checkConsent(device, f.name, deadline, deviceSignature);

        // Effect
        f.device = device;
        _emitFeedSet(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function transferFeed(bytes32 feed, address to) external {
        // Check
        (Feed storage f,) = _owned(feed);

        // Effect
        f.pendingOwner = to;
        emit FeedTransferStarted(feed, msg.sender, to);
    }

    /// @inheritdoc IFeedLedger
    function acceptFeed(bytes32 feed) external {
        // Check
        (Feed storage f,) = _known(feed);
        if (msg.sender != f.pendingOwner) revert Unauthorized(msg.sender, f.pendingOwner);

        // Effect
        address from = f.owner;
        f.owner = msg.sender;
        f.payout = msg.sender;
        delete f.pendingOwner;
        delete f.pauser;
        emit FeedTransferred(feed, from, msg.sender);
        _emitFeedSet(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function pause(bytes32 feed) external {
        // Check
        (Feed storage f, Terms memory t) = _known(feed);
        if (msg.sender != f.owner && msg.sender != f.pauser) revert Unauthorized(msg.sender, f.owner);
        _checkOpen(feed, t);

        // Effect
        f.terms.pausedAt = _timestamp();
        f.pausedBy = msg.sender;
        _emitFeedClock(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function resume(bytes32 feed) external {
        // Check
        (Feed storage f, Terms memory t) = _known(feed);
        if (t.pausedAt == 0) revert FeedNotPaused(feed);
        bool ownPause = msg.sender == f.pauser && msg.sender == f.pausedBy && t.retiresAt == 0;
        if (msg.sender != f.owner && !ownPause) revert Unauthorized(msg.sender, f.owner);

        // Effect
        f.terms.pausedTotal = t.pausedTotal + _timestamp() - t.pausedAt;
        f.terms.pausedAt = 0;
        delete f.pausedBy;
        _emitFeedClock(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function retire(bytes32 feed) external {
        // Check
        (Feed storage f, Terms memory t) = _owned(feed);
        if (t.retiresAt != 0) revert FeedRetired(feed, t.retiresAt);

        // Effect
        f.terms.retiresAt = SafeCastLib.toUint40((_feedTime(t) / Earnings.HOUR + 1) * Earnings.HOUR);
        _emitFeedClock(feed, f);
    }

    /// @inheritdoc IFeedLedger
    function withdraw(bytes32 feed, uint256 maxBuckets) external returns (uint256 paid) {
        // Check
        (Feed storage f, Terms memory t) = _owned(feed);

        // Effect
        paid = f.book.take(_feedTime(t), maxBuckets);
        // A sum out of the books, not a balance that somebody could move away from zero.
        // slither-disable-next-line incorrect-equality
        if (paid == 0) return 0;
        address payout = f.payout;
        emit Withdrawn(feed, payout, paid);

        // Interaction
        _pay(payout, paid);
    }

    /// @inheritdoc IFeedLedger
    function settle(bytes32 feed, uint256 maxBuckets) external {
        // Check
        (Feed storage f, Terms memory t) = _known(feed);

        // Effect
        f.book.settle(_feedTime(t), maxBuckets);
    }

    // -------------------------------------------------------------------------------------------- subscriber

    /// @inheritdoc IFeedLedger
    function subscribe(bytes32 feed, address beneficiary, uint64 duration, uint96 maxPrice, bytes32 listing)
        external
        payable
        returns (uint64 expiry)
    {
        // Check
        (Feed storage f, Terms memory t) = _known(feed);
        _checkOpen(feed, t);
        if (beneficiary == address(0)) revert ZeroAddress();
        uint64 start = _feedTime(t);
        Subscription storage s = f.subscriptions[msg.sender][beneficiary];
        if (s.expiry > start) revert SubscriptionLive(s.expiry, start);
        if (t.price > maxPrice) revert PriceAboveMax(t.price, maxPrice);
        bytes32 current = f.listing;
        if (current != listing) revert ListingMismatch(current, listing);
        _checkDuration(duration, MAX_AHEAD);
        _checkPayment(t.price, duration);

        // Effect
        expiry = start + duration;
        f.subscriptions[msg.sender][beneficiary] = Subscription({price: t.price, start: start, expiry: expiry});
        f.book.enter(t.price, start, expiry);
        emit SubscriptionSet(feed, beneficiary, msg.sender, t.price, start, expiry);
    }

    /// @inheritdoc IFeedLedger
    function extend(bytes32 feed, address beneficiary, uint64 duration) external payable returns (uint64 expiry) {
        // Check
        (Feed storage f, Terms memory t) = _known(feed);
        _checkOpen(feed, t);
        uint64 feedTime = _feedTime(t);
        Subscription storage s = f.subscriptions[msg.sender][beneficiary];
        Subscription memory old = s;
        if (old.expiry <= feedTime) revert SubscriptionNotLive(old.expiry, feedTime);
        if (old.price != t.price) revert PriceChanged(old.price, t.price);
        _checkDuration(duration, MAX_AHEAD - (old.expiry - feedTime));
        _checkPayment(old.price, duration);

        // Effect
        expiry = old.expiry + duration;
        s.expiry = expiry;
        f.book.move(old.price, old.expiry, expiry);
        emit SubscriptionSet(feed, beneficiary, msg.sender, old.price, old.start, expiry);
    }

    /// @inheritdoc IFeedLedger
    function cancel(bytes32 feed, address beneficiary, address to) external returns (uint256 refund) {
        // Check
        (Feed storage f, Terms memory t) = _known(feed);
        if (to == address(0)) revert ZeroAddress();
        uint64 feedTime = _feedTime(t);
        Subscription storage s = f.subscriptions[msg.sender][beneficiary];
        Subscription memory old = s;
        if (old.expiry <= feedTime) revert SubscriptionNotLive(old.expiry, feedTime);

        // Effect
        refund = uint256(old.price) * (old.expiry - feedTime);
        s.expiry = feedTime;
        f.book.leave(old.price, feedTime, old.expiry);
        emit SubscriptionSet(feed, beneficiary, msg.sender, old.price, old.start, feedTime);

        // Interaction
        _pay(to, refund);
    }

    // ------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IFeedLedger
    function feedOf(bytes32 feed) external view returns (FeedView memory) {
        (Feed storage f, Terms memory t) = _known(feed);
        return FeedView({
            device: f.device,
            name: f.name,
            owner: f.owner,
            pendingOwner: f.pendingOwner,
            price: t.price,
            payout: f.payout,
            pauser: f.pauser,
            listing: f.listing
        });
    }

    /// @inheritdoc IFeedLedger
    function clockOf(bytes32 feed) external view returns (ClockView memory) {
        (Feed storage f, Terms memory t) = _known(feed);
        return ClockView({
            base: t.base,
            pausedAt: t.pausedAt,
            pausedTotal: t.pausedTotal,
            pausedBy: f.pausedBy,
            retiresAt: t.retiresAt,
            feedTime: _feedTime(t)
        });
    }

    /// @inheritdoc IFeedLedger
    function subscriptionOf(bytes32 feed, address payer, address beneficiary)
        external
        view
        returns (Subscription memory)
    {
        return _feeds[feed].subscriptions[payer][beneficiary];
    }

    /// @inheritdoc IFeedLedger
    function withdrawableOf(bytes32 feed) external view returns (uint256) {
        (Feed storage f, Terms memory t) = _known(feed);
        return f.book.takeable(_feedTime(t));
    }

    // ------------------------------------------------------------------------------------------------ payment

    /// @dev Gives the recipient all the gas there is and takes none of the data that it returns.
    function _pay(address to, uint256 amount) private {
        bool success = SafeTransferLib.trySafeTransferETH(to, amount, gasleft());
        if (!success) revert PaymentFailed(to, amount);
    }

    // -------------------------------------------------------------------------------------------------- clock

    function _feedTime(Terms memory t) private view returns (uint64) {
        uint256 until = t.pausedAt == 0 ? block.timestamp : t.pausedAt;
        uint256 feedTime = until - t.base - t.pausedTotal;
        return SafeCastLib.toUint64(t.retiresAt != 0 && feedTime > t.retiresAt ? t.retiresAt : feedTime);
    }

    function _timestamp() private view returns (uint40) {
        return SafeCastLib.toUint40(block.timestamp);
    }

    // ------------------------------------------------------------------------------------------------- checks

    function _known(bytes32 feed) private view returns (Feed storage f, Terms memory t) {
        f = _feeds[feed];
        t = f.terms;
        if (t.base == 0) revert FeedUnknown(feed);
    }

    function _owned(bytes32 feed) private view returns (Feed storage f, Terms memory t) {
        (f, t) = _known(feed);
        if (msg.sender != f.owner) revert Unauthorized(msg.sender, f.owner);
    }

    function _ownedUnretired(bytes32 feed) private view returns (Feed storage) {
        (Feed storage f, Terms memory t) = _owned(feed);
        if (t.retiresAt != 0) revert FeedRetired(feed, t.retiresAt);
        return f;
    }

    function _checkOpen(bytes32 feed, Terms memory t) private pure {
        if (t.retiresAt != 0) revert FeedRetired(feed, t.retiresAt);
        if (t.pausedAt != 0) revert FeedPaused(feed, t.pausedAt);
    }

    function _checkDuration(uint64 duration, uint64 maximum) private pure {
        if (duration < MIN_DURATION || duration > maximum) revert DurationOutOfBounds(duration, MIN_DURATION, maximum);
    }

    function _checkPayment(uint96 price, uint64 duration) private view {
        uint256 expected = uint256(price) * duration;
        if (msg.value != expected) revert WrongPayment(msg.value, expected);
    }

    /// @dev Printable ASCII first, zeros after.
    function _checkName(bytes32 name) private pure {
        uint256 length;
        while (length < 32 && name[length] != 0) {
            if (name[length] < 0x20 || name[length] > 0x7e) revert InvalidName(name);
            ++length;
        }
        // Shifting by 256 bits gives zero, which is right for a name of 32 characters.
        if (length == 0 || name << (8 * length) != 0) revert InvalidName(name);
    }

    /// @dev The device consents to being sold by the caller. It signs with a key of its own, so nothing is called.
    function _checkConsent(address device, bytes32 name, uint64 deadline, bytes calldata signature) private view {
        if (block.timestamp > deadline) revert DeadlinePassed(block.timestamp, deadline);
        bytes32 digest =
            _hashTypedDataV4(keccak256(abi.encode(FEED_AUTHORIZATION_TYPEHASH, device, name, msg.sender, deadline)));
        // Why nothing was recovered does not matter: the address is zero then.
        // slither-disable-next-line unused-return
        (address recovered,,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (recovered == address(0) || recovered != device) revert InvalidDeviceSignature(recovered, device);
    }

    // ------------------------------------------------------------------------------------------------- events

    function _emitFeedSet(bytes32 feed, Feed storage f) private {
        emit FeedSet(feed, f.device, f.terms.price, f.payout, f.pauser, f.listing);
    }

    function _emitFeedClock(bytes32 feed, Feed storage f) private {
        Terms memory t = f.terms;
        emit FeedClock(feed, t.pausedAt, t.pausedTotal, f.pausedBy, t.retiresAt);
    }
}
// slither-disable-end timestamp
