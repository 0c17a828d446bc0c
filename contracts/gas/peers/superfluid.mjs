import { PACKAGES, open } from '../packages.mjs';
import { DAY, MONTH_COST, PRICE, people } from './market.mjs';

const ERC1820 = '0x1820a4b7618bde71dce8cdc73aab6c95905fad24';

/** A flow of the chain's own coin as a Super Token, opened and closed by the forwarder that wallets use. */
export async function superfluid(chain) {
  const { deployer, provider, first, later, busy } = people(chain);
  const read = open(PACKAGES.superfluid);
  const artifact = (source, name) => read(`build/hardhat/${source}/${name}.json`);
  const libraries = new Map();
  const libraryOf = async (source, name) => {
    if (!libraries.has(name)) libraries.set(name, await chain.deploy(artifact(source, name), [], libraryOf));
    return libraries.get(name);
  };

  await chain.place(ERC1820, `0x${read('dev-scripts/artifacts/ERC1820Registry.json').bin.replace(/^0x/, '')}`);
  const frameworkArtifact = artifact('contracts/utils/SuperfluidFrameworkDeployer.t.sol', 'SuperfluidFrameworkDeployer');
  const framework = chain.at(await chain.deploy(frameworkArtifact, [], libraryOf), frameworkArtifact.abi);
  const steps = Number(await framework.read('getNumSteps'));
  for (let step = 0; step < steps; ++step) await framework.call(deployer, 'executeStep', [step]);
  await framework.call(deployer, 'deployNativeAssetSuperToken', ['Super ETH', 'ETHx']);
  const { resolver, cfaV1Forwarder } = await framework.read('getFramework');
  const names = chain.at(resolver, artifact('contracts/utils/TestResolver.sol', 'TestResolver').abi);
  const sethAbi = artifact('contracts/interfaces/tokens/ISETH.sol', 'ISETH').abi;
  const seth = chain.at(await names.read('get', ['supertokens.test.ETHx']), sethAbi);
  const flows = chain.at(cfaV1Forwarder, artifact('contracts/utils/CFAv1Forwarder.sol', 'CFAv1Forwarder').abi);

  const buy = async (who) => {
    const upgrade = await seth.call(who, 'upgradeByETH', [], MONTH_COST);
    const flow = await flows.call(who, 'createFlow', [seth.address, who, provider, PRICE, '0x']);
    return [flow, upgrade];
  };
  const buyFirst = await buy(first);
  for (const buyer of busy) await buy(buyer);
  const buyLater = await buy(later);
  const renew = await seth.call(later, 'upgradeByETH', [], MONTH_COST);
  await chain.wait(DAY);
  const cancel = await flows.call(later, 'deleteFlow', [seth.address, later, provider, '0x']);
  const downgrade = await seth.call(later, 'downgradeToETH', [await seth.read('balanceOf', [later])]);
  const withdraw = await seth.call(provider, 'downgradeToETH', [await seth.read('balanceOf', [provider])]);
  return { first: buyFirst, later: buyLater, renew: [renew], cancel: [cancel, downgrade], withdraw: [withdraw] };
}
