const WEI_DIGITS = 18;
const HOUR_SECONDS = 3600n;

/** How exactly an amount is written. */
export type Precision = 'readable' | 'exact';

/**
 * An amount of wei in ETH, such as `0.0036 ETH`. Readable amounts keep four significant digits and never round to
 * zero; exact ones keep every digit.
 */
export function formatEth(wei: bigint, precision: Precision = 'readable'): string {
  return `${decimal(precision === 'exact' ? wei : rounded(wei))} ETH`;
}

/** The price of an hour, from wei per second. */
export function perHour(price: bigint): bigint {
  return price * HOUR_SECONDS;
}

/** The price of so many seconds, from wei per second. */
export function totalOf(price: bigint, seconds: number): bigint {
  return price * BigInt(seconds);
}

/** Half up to four significant digits, or to a ten-thousandth of an ETH where the amount has whole ones. */
function rounded(wei: bigint): bigint {
  const digits = wei.toString().length;
  const drop = Math.max(0, digits > WEI_DIGITS ? WEI_DIGITS - 4 : digits - 4);
  const unit = 10n ** BigInt(drop);
  return ((wei + unit / 2n) / unit) * unit;
}

function decimal(wei: bigint): string {
  const text = wei.toString().padStart(WEI_DIGITS + 1, '0');
  const whole = text.slice(0, -WEI_DIGITS).replace(/\B(?=(\d{3})+$)/g, '\u202f');
  const fraction = text.slice(-WEI_DIGITS).replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}
