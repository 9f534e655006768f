package loop

import (
	"sync"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// cachedScope is a scope as it was after the last decision of this process.
type cachedScope struct {
	engine.Scope
	// revision is the store's; a decision is only taken where it still is.
	revision int64
	versions map[int64]*pipeline.Definition
}

// known returns a version that was read before, or nil.
func (s *cachedScope) known(version int64) *pipeline.Definition { return s.versions[version] }

// owner returns the account and the name of the scope's pipeline.
func (s *cachedScope) owner(in engine.Input) (account, name string) {
	if account, name = in.Owner(); account != "" {
		return account, name
	}
	if len(s.Live) > 0 {
		return s.Live[0].Account, s.Live[0].Pipeline
	}
	return "", ""
}

// scopeCache spares reading live executions again for every decision. A scope is
// taken out for a decision and put back after its writes succeeded, so that a
// failed decision never leaves half a change in memory; one whose transaction then
// fails to commit is forgotten, and until then the store does not confirm its
// revision, which nobody else's decision has. Scopes without live executions are not kept, which bounds the cache by live work.
type scopeCache struct {
	mu     sync.Mutex
	scopes map[execution.ScopeKey]*cachedScope
}

func newScopeCache() *scopeCache {
	return &scopeCache{scopes: make(map[execution.ScopeKey]*cachedScope)}
}

func (c *scopeCache) take(key execution.ScopeKey) *cachedScope {
	c.mu.Lock()
	defer c.mu.Unlock()
	scope := c.scopes[key]
	delete(c.scopes, key)
	return scope
}

func (c *scopeCache) put(scope *cachedScope) {
	if len(scope.Live) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scopes[scope.Key] = scope
}

// forget takes out scopes that a transaction touched which was rolled back.
func (c *scopeCache) forget(keys []execution.ScopeKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		delete(c.scopes, key)
	}
}

// drop forgets the scopes of a pipeline that was deleted.
func (c *scopeCache) drop(pipelineID string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.scopes {
		if key.PipelineID == pipelineID {
			delete(c.scopes, key)
		}
	}
}

// maxDefinitions bounds the versions kept in memory.
const maxDefinitions = 1024

// definitionCache keeps versions, which never change.
type definitionCache struct {
	mu       sync.Mutex
	versions map[versionKey]*pipeline.Definition
}

type versionKey struct {
	pipelineID string
	version    int64
}

func newDefinitionCache() *definitionCache {
	return &definitionCache{versions: make(map[versionKey]*pipeline.Definition)}
}

func (c *definitionCache) get(pipelineID string, version int64) *pipeline.Definition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.versions[versionKey{pipelineID, version}]
}

func (c *definitionCache) put(pipelineID string, version int64, def *pipeline.Definition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.versions) >= maxDefinitions {
		clear(c.versions)
	}
	c.versions[versionKey{pipelineID, version}] = def
}

func (c *definitionCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.versions)
}

// maxRuleAccounts bounds the accounts whose approval rules are kept in memory.
const maxRuleAccounts = 1024

// ruleCache keeps the approval rules of accounts as committed decisions have read them.
// Another process may change them, so that they are confirmed before they are used.
type ruleCache struct {
	mu       sync.Mutex
	accounts map[string]accountRules
}

type accountRules struct {
	account  string
	revision int64
	rules    []approval.Rule
	// required tells that the account wants a rule for every manual action.
	required bool
}

func newRuleCache() *ruleCache {
	return &ruleCache{accounts: make(map[string]accountRules)}
}

func (c *ruleCache) get(account string) (accountRules, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.accounts[account]
	return known, ok
}

func (c *ruleCache) put(read accountRules) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.accounts) >= maxRuleAccounts {
		clear(c.accounts)
	}
	c.accounts[read.account] = read
}

func (c *ruleCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.accounts)
}
