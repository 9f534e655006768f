import type { ComponentChildren } from "preact";
import { path } from "../router";
import { words } from "../words";
import { Link } from "./link";
import { Heading } from "./page";

// Heading and tabs that all pages of a pipeline share.
export function PipelineHead({ name, title, children }: { name: string; title: string; children?: ComponentChildren }) {
  const root = `/${name}`;
  const tabs: [string, string][] = [
    [root, words.pipeline.tabs.state],
    [`${root}/executions`, words.pipeline.tabs.history],
    [`${root}/versions`, words.pipeline.tabs.versions],
    [`${root}/decisions`, words.pipeline.tabs.decisions],
  ];
  const here = decodeURIComponent(path.value).replace(/\/versions\/[^/]+$/, "/versions");
  return (
    <>
      <Heading title={title}>{children}</Heading>
      <nav class="tabs" aria-label={words.pipeline.title}>
        {tabs.map(([to, label]) => (
          <Link key={to} to={to} aria-current={here === to ? "page" : undefined}>
            {label}
          </Link>
        ))}
      </nav>
    </>
  );
}
