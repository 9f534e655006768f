import type { ComponentChildren } from "preact";
import { href } from "../base";
import { safeLink } from "../names";

// A link to a page of the UI, given as a path such as /accounts/dev.
export function Link({ to, children, ...rest }: { to: string; children: ComponentChildren; class?: string; id?: string; title?: string; "aria-current"?: "page" | undefined; "aria-label"?: string }) {
  return (
    <a href={href(to)} {...rest}>
      {children}
    </a>
  );
}

// A link to another site, if the address is one of http or https; otherwise only the text.
export function Outside({ address, children }: { address: string; children: ComponentChildren }) {
  const safe = safeLink(address);
  if (!safe) return <>{children}</>;
  return (
    <a href={safe} target="_blank" rel="noopener noreferrer nofollow" class="outside">
      {children}
    </a>
  );
}
