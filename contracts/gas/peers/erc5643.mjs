import { compile } from '../compile.mjs';
import { DAY, MONTH, MONTH_COST, people } from './market.mjs';

export async function erc5643(chain) {
  const { deployer, first, later } = people(chain);
  const artifact = compile('./Erc5643.sol', 'Erc5643');
  const { call } = chain.at(await chain.deploy(artifact), artifact.abi);
  const buyFirst = await call(first, 'mint', [MONTH], MONTH_COST);
  const buyLater = await call(later, 'mint', [MONTH], MONTH_COST);
  const renew = await call(later, 'renewSubscription', [2n, MONTH], MONTH_COST);
  await chain.wait(DAY);
  const cancel = await call(later, 'cancelSubscription', [2n]);
  const withdraw = await call(deployer, 'withdraw');
  return { first: [buyFirst], later: [buyLater], renew: [renew], cancel: [cancel], withdraw: [withdraw] };
}
