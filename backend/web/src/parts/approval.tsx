import type { Approval as ApprovalMessage } from "../gen/headrace/v1/execution_pb";
import { lastSegment, visible } from "../names";
import { words } from "../words";
import { Outside } from "./link";
import { Facts, Line } from "./page";
import { Shape } from "./status";
import { Time } from "./time";

// An approval: what is required, who has decided, who still may. compact leaves out who may, which
// stands beside it.
export function Approval({ of, compact = false }: { of: ApprovalMessage; compact?: boolean }) {
  return (
    <div class="approval">
      {of.skipped && (
        <p>
          {words.approval.skipped}: {visible(of.skipped)}
        </p>
      )}
      <ul class="requirements">
        {of.requirements.map((requirement) => (
          <li key={requirement.rule}>
            <Shape of={requirement.approvedCount >= requirement.minimumCount ? "succeeded" : "waiting"} />
            <span>{words.approval.requirement(requirement.approvedCount, requirement.minimumCount)}</span>
            <span class="meta">
              <Line text={requirement.rule ? `${words.approval.rule} ${lastSegment(requirement.rule)}` : words.approval.defaultRule} limit={80} />
            </span>
            {requirement.requireComment && <span class="meta">{words.approval.comment}</span>}
          </li>
        ))}
      </ul>
      {of.decisions.length > 0 && (
        <ul class="decisions-made">
          {of.decisions.map((decision, i) => (
            <li key={i}>
              <Shape of={decision.approved ? "succeeded" : "failed"} />
              {decision.approved ? words.approval.approved : words.approval.rejected} · <Line text={decision.principal} limit={80} /> · <Time at={decision.decideTime} />
              {decision.comment && <q>{visible(decision.comment)}</q>}
            </li>
          ))}
        </ul>
      )}
      <Facts
        of={[
          [words.approval.may, !compact && [of.anyApprover ? words.approval.anyApprover : "", ...of.eligibleUsers, ...of.eligibleGroups.map(words.approval.group)].filter(Boolean).map(visible).join(", ")],
          [words.approval.excluded, !compact && of.excludedUsers.map(visible).join(", ")],
          [words.approval.expires, !compact && of.expireTime && <Time at={of.expireTime} face="both" />],
          [words.approval.data, visible(of.customData)],
          [words.approval.link, of.externalEntityLink && <Outside address={of.externalEntityLink}>{visible(of.externalEntityLink)}</Outside>],
        ]}
      />
    </div>
  );
}
