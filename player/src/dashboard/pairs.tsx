/** Names with their values, as every page here lists figures. */
export type Facts = ReadonlyArray<readonly [name: string, value: string]>;

export function Pairs({ facts, class: looks }: { facts: Facts; class: string }) {
  return (
    <dl class={looks}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
