// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// @title A subscription NFT after ERC-5643, with payment
/// @notice A probe for the table of gas, never deployed. The standard says nothing about money: here the owner may take
/// all of it, also what was not earned, as plain sales of such NFTs do.
contract Erc5643 is ERC721("Subscription", "SUB") {
    uint96 private constant PRICE = 277_777_777_777;
    address private immutable OWNER = msg.sender;
    uint256 private _minted;
    mapping(uint256 tokenId => uint64) private _expiries;

    event SubscriptionUpdate(uint256 indexed tokenId, uint64 expiration);

    error WrongPayment();
    error NotOwner();
    error PaymentFailed();

    function mint(uint64 duration) external payable {
        if (msg.value != uint256(PRICE) * duration) revert WrongPayment();
        uint256 tokenId = ++_minted;
        _mint(msg.sender, tokenId);
        _set(tokenId, uint64(block.timestamp) + duration);
    }

    function renewSubscription(uint256 tokenId, uint64 duration) external payable {
        if (msg.value != uint256(PRICE) * duration) revert WrongPayment();
        _set(tokenId, _expiries[tokenId] + duration);
    }

    function cancelSubscription(uint256 tokenId) external {
        if (msg.sender != _requireOwned(tokenId)) revert NotOwner();
        uint256 refund = PRICE * (_expiries[tokenId] - block.timestamp);
        delete _expiries[tokenId];
        emit SubscriptionUpdate(tokenId, 0);
        _pay(msg.sender, refund);
    }

    function withdraw() external {
        if (msg.sender != OWNER) revert NotOwner();
        _pay(OWNER, address(this).balance);
    }

    function expiresAt(uint256 tokenId) external view returns (uint64) {
        return _expiries[tokenId];
    }

    function isRenewable(uint256) external pure returns (bool) {
        return true;
    }

    function _set(uint256 tokenId, uint64 expiry) private {
        _expiries[tokenId] = expiry;
        emit SubscriptionUpdate(tokenId, expiry);
    }

    function _pay(address to, uint256 amount) private {
        (bool success,) = to.call{value: amount}("");
        if (!success) revert PaymentFailed();
    }
}
