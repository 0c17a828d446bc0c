import { compile } from '../compile.mjs';
import { DAY, MONTH, MONTH_COST, people } from './market.mjs';

export async function escrow(chain) {
  const { deployer, first, later } = people(chain);
  const artifact = compile('./Escrow.sol', 'Escrow');
  const { call } = chain.at(await chain.deploy(artifact), artifact.abi);
  const buyFirst = await call(first, 'buy', [MONTH], MONTH_COST);
  const buyLater = await call(later, 'buy', [MONTH], MONTH_COST);
  const renew = await call(later, 'renew', [MONTH], MONTH_COST);
  await chain.wait(DAY);
  const withdraw = await call(deployer, 'withdraw', [first]);
  const cancel = await call(later, 'cancel');
  return { first: [buyFirst], later: [buyLater], renew: [renew], cancel: [cancel], withdraw: [withdraw] };
}
