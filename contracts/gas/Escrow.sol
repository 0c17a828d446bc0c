// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

/// @title The least that a prepaid subscription can cost
/// @notice A probe for the table of gas, never deployed: one price, no pause, and a provider who collects from each
/// buyer in turn.
contract Escrow {
    struct Subscription {
        uint96 price;
        uint64 paidUntil;
        uint64 expiry;
    }

    uint96 private constant PRICE = 277_777_777_777;
    address private immutable PROVIDER = msg.sender;
    mapping(address buyer => Subscription) private _subscriptions;

    event SubscriptionSet(address indexed buyer, uint64 expiry);

    error WrongPayment();
    error NotLive();
    error PaymentFailed();

    function buy(uint64 duration) external payable {
        if (msg.value != uint256(PRICE) * duration) revert WrongPayment();
        uint64 start = uint64(block.timestamp);
        _subscriptions[msg.sender] = Subscription(PRICE, start, start + duration);
        emit SubscriptionSet(msg.sender, start + duration);
    }

    function renew(uint64 duration) external payable {
        if (msg.value != uint256(PRICE) * duration) revert WrongPayment();
        Subscription storage s = _subscriptions[msg.sender];
        if (s.expiry <= block.timestamp) revert NotLive();
        s.expiry += duration;
        emit SubscriptionSet(msg.sender, s.expiry);
    }

    function cancel() external {
        Subscription storage s = _subscriptions[msg.sender];
        uint256 expiry = s.expiry;
        if (expiry <= block.timestamp) revert NotLive();
        s.expiry = uint64(block.timestamp);
        emit SubscriptionSet(msg.sender, s.expiry);
        _pay(msg.sender, s.price * (expiry - block.timestamp));
    }

    function withdraw(address buyer) external {
        Subscription storage s = _subscriptions[buyer];
        uint64 until = s.expiry < block.timestamp ? s.expiry : uint64(block.timestamp);
        uint256 earned = uint256(s.price) * (until - s.paidUntil);
        s.paidUntil = until;
        _pay(PROVIDER, earned);
    }

    function _pay(address to, uint256 amount) private {
        (bool success,) = to.call{value: amount}("");
        if (!success) revert PaymentFailed();
    }
}
