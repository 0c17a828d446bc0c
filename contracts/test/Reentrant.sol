// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {IFeedLedger} from "../src/IFeedLedger.sol";

/// @dev Calls the ledger back from inside the payment that it receives.
contract Reentrant {
    IFeedLedger private immutable LEDGER;
    bytes private _callback;
    bool public calledBack;
    bool public calledBackSuccessfully;
    bytes public lastReason;

    constructor(IFeedLedger ledger) {
        LEDGER = ledger;
    }

    function callBackWith(bytes calldata callback) external {
        _callback = callback;
    }

    function attack(bytes calldata call_) external {
        (bool success, bytes memory reason) = address(LEDGER).call(call_);
        require(success, string(reason));
    }

    receive() external payable {
        if (calledBack) return;
        calledBack = true;
        (calledBackSuccessfully, lastReason) = address(LEDGER).call(_callback);
    }
}
