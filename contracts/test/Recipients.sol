// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";

/// @dev Takes no money.
contract Refuser {
    receive() external payable {
        revert("no, thank you");
    }
}

/// @dev Takes money and burns all the gas that comes with it.
contract GasBurner {
    receive() external payable {
        while (true) {}
    }
}

/// @dev Answers a payment with more data than the caller could afford to copy.
contract ReturnBomb {
    uint256 public constant SIZE = 2 ** 20;
    bool private immutable FAILS;
    /// @dev Gas that building the answer took.
    uint256 public spent;

    constructor(bool fails) {
        FAILS = fails;
    }

    fallback(bytes calldata) external payable returns (bytes memory answer) {
        uint256 before = gasleft();
        answer = new bytes(SIZE);
        spent = before - gasleft();
        if (FAILS) revert(string(answer));
    }
}

/// @dev Forces its ETH upon another contract, which has no say in it.
contract Forcer {
    constructor(address payable victim) payable {
        selfdestruct(victim);
    }
}

/// @dev Calls the ledger back, once, from inside a payment that it receives.
contract Reentrant {
    IFeedLedger private immutable LEDGER;
    bytes private _callback;
    uint256 private _value;
    bool private _armed;
    bool public calledBack;
    bool public succeeded;
    bytes public answer;

    constructor(IFeedLedger ledger) {
        LEDGER = ledger;
    }

    function callBackWith(bytes calldata callback, uint256 value) external {
        (_callback, _value, _armed) = (callback, value, true);
    }

    receive() external payable {
        if (!_armed) return;
        _armed = false;
        calledBack = true;
        (succeeded, answer) = address(LEDGER).call{value: _value}(_callback);
    }
}

/// @dev Tries to take everything twice from inside a payment, and buys a minute with it.
contract Greedy {
    IFeedLedger private immutable LEDGER;
    bytes32 private _feed;
    address private _cancelled;
    bool private _armed;
    /// @dev What it got from inside, to be entered into the books.
    uint256 public cancelledTwice;
    uint256 public withdrew;
    uint96 public boughtAt;
    uint64 public boughtUntil;

    constructor(IFeedLedger ledger) {
        LEDGER = ledger;
    }

    /// @param cancelled Whose subscription is being cancelled, or zero
    function arm(bytes32 feed, address cancelled) external {
        (_feed, _cancelled, _armed) = (feed, cancelled, true);
        (withdrew, boughtAt, boughtUntil) = (0, 0, 0);
    }

    function disarm() external {
        _armed = false;
    }

    receive() external payable {
        if (!_armed) return;
        _armed = false;
        if (_cancelled != address(0)) {
            try LEDGER.cancel(_feed, _cancelled, address(this)) {
                ++cancelledTwice;
            } catch {}
        }
        try LEDGER.withdraw(_feed, 1) returns (uint256 paid) {
            withdrew = paid;
        } catch {}
        LEDGER.settle(_feed, 1);
        IFeedLedger.FeedView memory f = LEDGER.feedOf(_feed);
        try LEDGER.subscribe{value: uint256(f.price) * 60}(_feed, address(this), 60, f.price, f.listing) returns (
            uint64 expiry
        ) {
            (boughtAt, boughtUntil) = (f.price, expiry);
        } catch {}
    }
}
