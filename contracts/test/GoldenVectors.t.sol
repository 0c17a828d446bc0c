// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.30;

import {Test} from "forge-std/Test.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IFeedLedger} from "../src/IFeedLedger.sol";

/// @dev The golden vectors that Rust and TypeScript read too, against Solidity's own hashing.
contract GoldenVectorsTest is Test {
    string private _json = vm.readFile("../protocol/vectors/typed_data.json");

    function setUp() public {
        vm.chainId(vm.parseJsonUint(_json, ".domain.chainId"));
        deployCodeTo("FeedLedger.sol:FeedLedger", vm.parseJsonAddress(_json, ".domain.ledger"));
    }

    function test_Separator() public view {
        assertEq(separator(), word(".separator"));
    }

    function test_TheLedgerNamesTheSameDomain() public view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            IERC5267(address(ledger())).eip712Domain();
        assertEq(
            MessageHashUtils.toDomainSeparator(bytes1(0x0f), name, version, chainId, verifyingContract, 0),
            word(".separator")
        );
    }

    function test_FeedId() public view {
        assertEq(
            keccak256(abi.encode(vm.parseJsonAddress(_json, ".feedId.device"), word(".feedId.nameBytes32"))),
            word(".feedId.feed")
        );
    }

    function test_Event() public view {
        bytes memory payload = vm.parseJsonBytes(_json, ".event.payload");
        assertEq(keccak256(payload), word(".event.payloadHash"));
        checkSigned(
            ".event",
            abi.encode(
                keccak256(
                    "Event(address device,string stream,uint64 boot,uint64 seq,uint64 timeUs,string contentType,bytes32 payloadHash)"
                ),
                vm.parseJsonAddress(_json, ".event.device"),
                text(".event.stream"),
                vm.parseJsonUint(_json, ".event.boot"),
                vm.parseJsonUint(_json, ".event.seq"),
                vm.parseJsonUint(_json, ".event.timeUs"),
                text(".event.contentType"),
                keccak256(payload)
            )
        );
    }

    function test_FeedAuthorization() public view {
        checkSigned(
            ".feedAuthorization",
            abi.encode(
                keccak256("FeedAuthorization(address device,bytes32 name,address owner,uint64 deadline)"),
                vm.parseJsonAddress(_json, ".feedAuthorization.device"),
                word(".feedAuthorization.nameBytes32"),
                vm.parseJsonAddress(_json, ".feedAuthorization.owner"),
                vm.parseJsonUint(_json, ".feedAuthorization.deadline")
            )
        );
    }

    function test_TheLedgerTakesTheFeedAuthorization() public {
        address owner = vm.parseJsonAddress(_json, ".feedAuthorization.owner");
        uint64 deadline = uint64(vm.parseJsonUint(_json, ".feedAuthorization.deadline"));
        vm.warp(deadline);
        vm.prank(owner);
        bytes32 feed = ledger()
            .openFeed(
                vm.parseJsonAddress(_json, ".feedAuthorization.device"),
                word(".feedAuthorization.nameBytes32"),
                1,
                owner,
                address(0),
                0,
                deadline,
                vm.parseJsonBytes(_json, ".feedAuthorization.signature")
            );
        assertEq(feed, word(".feedId.feed"));
    }

    function test_DeviceRegistration() public view {
        string[] memory streams = vm.parseJsonStringArray(_json, ".deviceRegistration.streams");
        bytes memory hashes;
        for (uint256 i; i < streams.length; ++i) {
            hashes = abi.encodePacked(hashes, keccak256(bytes(streams[i])));
        }
        checkSigned(
            ".deviceRegistration",
            abi.encode(
                keccak256(
                    "DeviceRegistration(address device,address owner,uint64 revision,string title,string description,string[] streams)"
                ),
                vm.parseJsonAddress(_json, ".deviceRegistration.device"),
                vm.parseJsonAddress(_json, ".deviceRegistration.owner"),
                vm.parseJsonUint(_json, ".deviceRegistration.revision"),
                text(".deviceRegistration.title"),
                text(".deviceRegistration.description"),
                keccak256(hashes)
            )
        );
    }

    function test_CredentialRequest() public view {
        checkSigned(
            ".credentialRequest",
            abi.encode(
                keccak256("CredentialRequest(address device,string nonce)"),
                vm.parseJsonAddress(_json, ".credentialRequest.device"),
                text(".credentialRequest.nonce")
            )
        );
    }

    function test_FeedListing() public view {
        assertEq(text(".feedListing.document"), word(".feedListing.listing"));
        checkSigned(
            ".feedListing",
            abi.encode(
                keccak256("FeedListing(bytes32 feed,bytes32 listing)"),
                word(".feedListing.feed"),
                word(".feedListing.listing")
            )
        );
    }

    function checkSigned(string memory path, bytes memory encoded) private view {
        bytes32 digest = MessageHashUtils.toTypedDataHash(separator(), keccak256(encoded));
        assertEq(digest, word(string.concat(path, ".digest")));
        bytes memory signature = vm.parseJsonBytes(_json, string.concat(path, ".signature"));
        assertEq(ECDSA.recover(digest, signature), vm.addr(vm.parseJsonUint(_json, ".key")));
    }

    function separator() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Ashya"),
                keccak256("1"),
                vm.parseJsonUint(_json, ".domain.chainId"),
                vm.parseJsonAddress(_json, ".domain.ledger")
            )
        );
    }

    function ledger() private view returns (IFeedLedger) {
        return IFeedLedger(vm.parseJsonAddress(_json, ".domain.ledger"));
    }

    function word(string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(_json, path);
    }

    function text(string memory path) private view returns (bytes32) {
        return keccak256(bytes(vm.parseJsonString(_json, path)));
    }
}
