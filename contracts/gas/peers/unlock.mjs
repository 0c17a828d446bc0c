import { encodeFunctionData, parseEventLogs, zeroAddress } from 'viem';

import { compile } from '../compile.mjs';
import { PACKAGES, open } from '../packages.mjs';
import { DAY, MONTH, MONTH_COST, people } from './market.mjs';

const BUYERS_AT_MOST = 1_000n;
const NO_DATA = '0x';

/** The lock alone, behind a proxy as Unlock deploys it, made known to Unlock as its factory would. */
export async function unlock(chain) {
  const { deployer, first, later, busy } = people(chain);
  const read = open(PACKAGES.unlock);
  const [factory, lock] = [read('dist/abis/Unlock/UnlockV14.json'), read('dist/abis/PublicLock/PublicLockV15.json')];
  const proxy = compile('@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol', 'ERC1967Proxy');

  const logic = await chain.deploy(factory);
  const unlockContract = chain.at(await chain.deploy(proxy, [logic, encodeFunctionData({ abi: factory.abi, functionName: 'initialize', args: [deployer] })]), factory.abi);
  const template = await chain.deploy(lock);
  await unlockContract.call(deployer, 'addLockTemplate', [template, 15]);
  await unlockContract.call(deployer, 'setLockTemplate', [template]);
  const settings = encodeFunctionData({ abi: lock.abi, functionName: 'initialize', args: [deployer, BigInt(MONTH), zeroAddress, MONTH_COST, BUYERS_AT_MOST, 'feed'] });
  const created = await unlockContract.logs(deployer, 'createUpgradeableLock', [settings]);
  const [{ args }] = parseEventLogs({ abi: factory.abi, logs: created, eventName: 'NewLock' });
  const { call } = chain.at(args.newLockAddress, lock.abi);

  const buy = (who) => call(who, 'purchase', [[MONTH_COST], [who], [zeroAddress], [zeroAddress], [NO_DATA]], MONTH_COST);
  const buyFirst = await buy(first);
  for (const buyer of busy) await buy(buyer);
  const buyLater = await buy(later);
  const token = BigInt(busy.length + 2);
  const renew = await call(later, 'extend', [0n, token, zeroAddress, NO_DATA], MONTH_COST);
  await chain.wait(DAY);
  const cancel = await call(later, 'cancelAndRefund', [token]);
  const withdraw = await call(deployer, 'withdraw', [zeroAddress, deployer, 0n]);
  return { first: [buyFirst], later: [buyLater], renew: [renew], cancel: [cancel], withdraw: [withdraw] };
}
