// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title Prepaid device feeds, second by second
/// @notice Holds what subscribers prepay for the live feed of a device and pays the provider as the seconds pass.
/// A subscription's earned part belongs to the provider, the rest to whoever paid, and neither can reach the other's.
/// There is no owner of the contract, no fee, no upgrade and no token.
/// @dev Feed time is the number of seconds for which a feed was open (not paused) since it was created. Starts,
/// expiries and `retiresAt` are in feed time; `base` and `pausedAt` are Unix seconds. Prices are wei per second.
/// Earnings are kept per feed in hour buckets, so that no function loops over subscribers:
///
///   subscribe  rate += p; carry -= p * (now - settled); ends[b] += p; over[b] += p * (B - expiry)
///   cancel     rate -= p; carry += p * (now - settled); ends[b] -= p; over[b] -= p * (B - expiry)
///   settle     at each used bucket up to the last full hour:
///              carry += rate * (B - settled) - over[b]; rate -= ends[b]; settled = B
///
/// where bucket `b = ceil(expiry / 3600)` ends at `B = 3600 * b`. `max(0, carry)` is safe to pay at any time.
/// Events carry absolute values, so that applying one twice changes nothing.
interface IFeedLedger {
    // ------------------------------------------------------------------------------------------------- types

    /// @notice What is sold, by whom and for how much.
    /// @param device Address of the device key whose events are sold
    /// @param name Name of the feed on its first device: printable ASCII, padded with zeros
    /// @param owner The provider
    /// @param pendingOwner Who may accept the feed, or zero
    /// @param price Wei per second for new subscriptions
    /// @param payout Where withdrawals go
    /// @param pauser Who may pause beside the owner, or zero
    /// @param listing keccak256 of the canonical listing document
    struct FeedView {
        address device;
        bytes32 name;
        address owner;
        address pendingOwner;
        uint96 price;
        address payout;
        address pauser;
        bytes32 listing;
    }

    /// @notice The clock of a feed.
    /// @param base Unix second at which the feed was opened
    /// @param pausedAt Unix second at which the running pause began, or zero
    /// @param pausedTotal Seconds of all finished pauses
    /// @param pausedBy Who began the running pause, or zero
    /// @param retiresAt Feed time at which the clock stops for good, or zero while the feed is not retired
    /// @param feedTime Feed time now
    struct ClockView {
        uint64 base;
        uint64 pausedAt;
        uint64 pausedTotal;
        address pausedBy;
        uint64 retiresAt;
        uint64 feedTime;
    }

    /// @notice A subscription: live while the feed time is in the half-open `[start, expiry)`.
    /// @param price Wei per second that was agreed
    /// @param start Feed time of its beginning
    /// @param expiry Feed time of its end
    struct Subscription {
        uint96 price;
        uint64 start;
        uint64 expiry;
    }

    // ------------------------------------------------------------------------------------------------ events

    /// @notice A feed was opened. Its clock runs from `base`, with no pause and no retirement.
    event FeedOpened(bytes32 indexed feed, address indexed device, bytes32 name, address indexed owner, uint64 base);

    /// @notice The terms of a feed, after any change of them.
    event FeedSet(bytes32 indexed feed, address device, uint96 price, address payout, address pauser, bytes32 listing);

    /// @notice The clock of a feed, after a pause, a resume or the retirement.
    event FeedClock(bytes32 indexed feed, uint64 pausedAt, uint64 pausedTotal, address pausedBy, uint64 retiresAt);

    /// @notice The owner offered the feed to `to`; zero takes the offer back.
    event FeedTransferStarted(bytes32 indexed feed, address indexed from, address indexed to);

    /// @notice The feed and its unpaid earnings went from one owner to another.
    event FeedTransferred(bytes32 indexed feed, address indexed from, address indexed to);

    /// @notice A subscription, after it was bought, extended or cancelled. A cancel sets `expiry` to the feed time.
    event SubscriptionSet(
        bytes32 indexed feed,
        address indexed beneficiary,
        address indexed payer,
        uint96 price,
        uint64 start,
        uint64 expiry
    );

    /// @notice Earnings were paid out.
    event Withdrawn(bytes32 indexed feed, address indexed payout, uint256 amount);

    // ------------------------------------------------------------------------------------------------ errors

    /// @notice A feed of this device and name was opened before.
    error FeedExists(bytes32 feed);

    /// @notice No such feed was opened.
    error FeedUnknown(bytes32 feed);

    /// @notice The feed is paused since this Unix second.
    error FeedPaused(bytes32 feed, uint64 pausedAt);

    /// @notice The feed is not paused.
    error FeedNotPaused(bytes32 feed);

    /// @notice The feed is retired: its clock stops at this feed time.
    error FeedRetired(bytes32 feed, uint64 retiresAt);

    /// @notice The caller is not the one who may do this.
    error Unauthorized(address caller, address expected);

    /// @notice An address that must be given is zero.
    error ZeroAddress();

    /// @notice A price is at least one wei per second.
    error ZeroPrice();

    /// @notice A feed's name is one to 32 printable ASCII characters, padded with zeros.
    error InvalidName(bytes32 name);

    /// @notice The device's consent was valid up to and including `deadline`.
    error DeadlinePassed(uint256 timestamp, uint64 deadline);

    /// @notice The consent was not signed by the device.
    error InvalidDeviceSignature(address recovered, address device);

    /// @notice The price is above what the caller is ready to pay.
    error PriceAboveMax(uint96 price, uint96 maxPrice);

    /// @notice The price is no longer the one of this subscription: let it end or cancel it, then subscribe anew.
    error PriceChanged(uint96 subscribed, uint96 current);

    /// @notice The listing is not the one that the caller has read.
    error ListingMismatch(bytes32 listing, bytes32 expected);

    /// @notice The value sent is not exactly price times duration.
    error WrongPayment(uint256 sent, uint256 expected);

    /// @notice The duration, in seconds, is not within the bounds.
    error DurationOutOfBounds(uint64 duration, uint64 minimum, uint64 maximum);

    /// @notice There is a live subscription already: extend it.
    error SubscriptionLive(uint64 expiry, uint64 feedTime);

    /// @notice There is no live subscription.
    error SubscriptionNotLive(uint64 expiry, uint64 feedTime);

    /// @notice The recipient refused the money.
    error PaymentFailed(address to, uint256 amount);

    // ---------------------------------------------------------------------------------------------- provider

    /// @notice Opens a feed that the caller owns. The device consents by an EIP-712 signature over
    /// `FeedAuthorization(address device,bytes32 name,address owner,uint64 deadline)`.
    /// @param device Address of the device key
    /// @param name Name of the feed: printable ASCII, padded with zeros
    /// @param price Wei per second, at least one
    /// @param payout Where withdrawals go
    /// @param pauser Who may pause beside the owner, or zero
    /// @param listing keccak256 of the canonical listing document
    /// @param deadline Last Unix second at which the consent is valid
    /// @param deviceSignature The device's 65-byte signature
    /// @return feed `keccak256(abi.encode(device, name))`
    function openFeed(
        address device,
        bytes32 name,
        uint96 price,
        address payout,
        address pauser,
        bytes32 listing,
        uint64 deadline,
        bytes calldata deviceSignature
    ) external returns (bytes32 feed);

    /// @notice Sets the price of new subscriptions. Live ones keep theirs. Owner only, not when retired.
    function setPrice(bytes32 feed, uint96 price) external;

    /// @notice Sets where withdrawals go. Owner only.
    function setPayout(bytes32 feed, address payout) external;

    /// @notice Names who may pause beside the owner; zero names nobody. Owner only, not when retired.
    function setPauser(bytes32 feed, address pauser) external;

    /// @notice Sets the hash of the listing document. Owner only, not when retired.
    function setListing(bytes32 feed, bytes32 listing) external;

    /// @notice Replaces the device behind the feed; the new one consents as in `openFeed`. Owner only, not when retired.
    function setDevice(bytes32 feed, address device, uint64 deadline, bytes calldata deviceSignature) external;

    /// @notice Offers the feed to `to`, who accepts it; zero takes the offer back. Owner only.
    function transferFeed(bytes32 feed, address to) external;

    /// @notice Takes over an offered feed with its unpaid earnings. The payout becomes the caller, the pauser nobody.
    function acceptFeed(bytes32 feed) external;

    /// @notice Stops the feed's clock: no earnings, and nobody's time runs. Owner or pauser, not when retired.
    function pause(bytes32 feed) external;

    /// @notice Lets the clock run again. The owner lifts any pause, the pauser only its own, and when retired only
    /// the owner, so that the clock reaches its last hour boundary.
    function resume(bytes32 feed) external;

    /// @notice Stops the clock for good at the next hour boundary of feed time, so that the last hour can be paid
    /// out. Owner only. A paused feed stays paused until the owner resumes it.
    function retire(bytes32 feed) external;

    /// @notice Settles up to `maxBuckets` used buckets and pays what is safe to the payout address. Owner only.
    /// @return paid Wei that were paid
    function withdraw(bytes32 feed, uint256 maxBuckets) external returns (uint256 paid);

    /// @notice Settles up to `maxBuckets` used buckets. Anyone may call it.
    function settle(bytes32 feed, uint256 maxBuckets) external;

    // -------------------------------------------------------------------------------------------- subscriber

    /// @notice Buys a subscription that begins now. Send exactly price times duration. Refused while the caller has
    /// a live one for the same beneficiary.
    /// @param feed The feed
    /// @param beneficiary Who may watch
    /// @param duration Seconds of feed time, from 60 up to 366 days
    /// @param maxPrice Highest price in wei per second that the caller accepts
    /// @param listing Hash of the listing that the caller has read
    /// @return expiry Feed time of its end
    function subscribe(bytes32 feed, address beneficiary, uint64 duration, uint96 maxPrice, bytes32 listing)
        external
        payable
        returns (uint64 expiry);

    /// @notice Lengthens the caller's live subscription at its own price, while that is still the feed's. Send exactly
    /// price times duration.
    /// @param feed The feed
    /// @param beneficiary Who may watch
    /// @param duration Seconds of feed time to add, at least 60; the new end is at most 366 days ahead
    /// @return expiry Feed time of its new end
    function extend(bytes32 feed, address beneficiary, uint64 duration) external payable returns (uint64 expiry);

    /// @notice Ends the caller's live subscription now and pays back every second that was not used.
    /// @param feed The feed
    /// @param beneficiary Who may watch
    /// @param to Who receives the refund
    /// @return refund Wei that were paid back
    function cancel(bytes32 feed, address beneficiary, address to) external returns (uint256 refund);

    // ------------------------------------------------------------------------------------------------- views

    /// @notice The terms of a feed.
    function feedOf(bytes32 feed) external view returns (FeedView memory);

    /// @notice The clock of a feed.
    function clockOf(bytes32 feed) external view returns (ClockView memory);

    /// @notice The latest subscription that `payer` bought for `beneficiary`; zeros when there was none.
    function subscriptionOf(bytes32 feed, address payer, address beneficiary)
        external
        view
        returns (Subscription memory);

    /// @notice Wei that a `withdraw` without limit would pay now.
    function withdrawableOf(bytes32 feed) external view returns (uint256);
}
