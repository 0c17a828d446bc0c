import { encodeFunctionData, zeroAddress } from 'viem';

import { PACKAGES, open } from '../packages.mjs';
import { DAY, MONTH_COST, PRICE, people } from './market.mjs';

/** Flow streams a token, so ETH is wrapped first and unwrapped at last. The protocol's fee in dollars is zero here. */
export async function sablier(chain) {
  const { deployer, provider, first, later, busy } = people(chain);
  const [utils, flowPackage, wethPackage] = [PACKAGES.sablierUtils, PACKAGES.sablier, PACKAGES.weth].map(open);
  const [logic, proxy] = ['SablierComptroller', 'ERC1967Proxy'].map((name) => plain(utils(`artifacts/${name}.json`)));
  const flowArtifact = plain(flowPackage('artifacts/SablierFlow.json'));
  const wethArtifact = wethPackage('build/contracts/WETH9.json');

  const settings = encodeFunctionData({
    abi: logic.abi,
    functionName: 'initialize',
    args: [deployer, 0n, 0n, 0n, 0n, zeroAddress],
  });
  const comptroller = await chain.deploy(proxy, [await chain.deploy(logic, [deployer]), settings]);
  const descriptor = await chain.deploy(plain(flowPackage('artifacts/FlowNFTDescriptor.json')));
  const flow = chain.at(await chain.deploy(flowArtifact, [comptroller, descriptor]), flowArtifact.abi);
  const weth = chain.at(await chain.deploy(wethArtifact), wethArtifact.abi);

  const buy = async (who) => {
    const wrap = await weth.call(who, 'deposit', [], MONTH_COST);
    const approve = await weth.call(who, 'approve', [flow.address, MONTH_COST]);
    // Flow counts every token's rate with eighteen decimals, as WETH has.
    const stream = await flow.call(who, 'createAndDeposit', [who, provider, PRICE, 0, weth.address, true, MONTH_COST]);
    return [stream, wrap, approve];
  };
  const buyFirst = await buy(first);
  for (const buyer of busy) await buy(buyer);
  const buyLater = await buy(later);
  const stream = BigInt(busy.length + 2);
  const wrap = await weth.call(later, 'deposit', [], MONTH_COST);
  const approve = await weth.call(later, 'approve', [flow.address, MONTH_COST]);
  const renew = await flow.call(later, 'deposit', [stream, MONTH_COST, later, provider]);
  await chain.wait(DAY);
  const refund = await flow.call(later, 'refundAndPause', [stream, await flow.read('refundableAmountOf', [stream]) - PRICE * 60n]);
  const unwrap = await weth.call(later, 'withdraw', [await weth.read('balanceOf', [later])]);
  const withdraw = await flow.call(provider, 'withdrawMax', [1n, provider]);
  const unwrapPay = await weth.call(provider, 'withdraw', [await weth.read('balanceOf', [provider])]);
  return {
    first: buyFirst,
    later: buyLater,
    renew: [renew, wrap, approve],
    cancel: [refund, unwrap],
    withdraw: [withdraw, unwrapPay],
  };
}

/** These artifacts keep the code one level deeper than the others. */
function plain({ abi, bytecode }) {
  return { abi, bytecode: bytecode.object };
}
