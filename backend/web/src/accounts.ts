import { signal } from "@preact/signals";
import { client } from "./api";
import { AccountService } from "./gen/headrace/v1/account_pb";

// The accounts in which the caller has a role, without prefix; undefined before they are known.
export const accounts = signal<readonly string[] | undefined>(undefined);

// Reads the accounts, all pages of them.
export async function loadAccounts(): Promise<void> {
  const service = client(AccountService);
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await service.listAccounts({ pageSize: 1000, pageToken });
    found.push(...page.accounts.map((account) => account.name.replace(/^accounts\//, "")));
    pageToken = page.nextPageToken;
  } while (pageToken);
  accounts.value = found;
}
