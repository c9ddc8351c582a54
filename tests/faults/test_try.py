from tests.faults.racing import *
import collections, time, threading
import pytest
@pytest.mark.parametrize("what", ["token","user", "deact", "agent"])
def test_starve(registry, what):
    member = registry.user()
    agent = registry.agent(member)
    tok = registry.agent_token(member, agent.agent_id)
    stop = threading.Event()
    outs = collections.Counter()
    with spread(member if what!="agent" else tok, connections=14) as people:
        def work(p):
            n=0
            while not stop.is_set():
                n+=1
                try:
                    if what=="agent":
                        p.call("AgentService/UpdateAgent", agent={"agent_id": agent.agent_id}, update={"agent_name": f"n{n}"})
                    else:
                        p.call("AccessService/GrantAccess", agent={"agent_id":agent.agent_id}, principal={"user_id":registry.admin.user_id}, role="ROLE_VIEWER")
                    outs["ok"]+=1
                except RefusedError as e:
                    outs[e.reason]+=1
                    if what != "agent": break
        ts=[threading.Thread(target=work,args=(p,)) for p in people]
        for t in ts: t.start()
        while outs["ok"]<50 and sum(outs.values())<100: pass
        t0=time.time()
        try:
            if what=="token": registry.admin.call("TokenService/RevokeToken", token_id=member.token_id)
            elif what=="user": registry.admin.call("TokenService/RevokeUserTokens", user_id=member.user_id)
            elif what=="deact": registry.admin.call("UserService/DeactivateUser", user={"user_id":member.user_id})
            else: registry.admin.call("AgentService/DeleteAgent", agent={"agent_id":agent.agent_id})
        finally:
            print(what, "took", time.time()-t0, outs)
            stop.set()
            for t in ts: t.join()
        print(outs)
