import pytest
@pytest.mark.gen_test
async def test_smoke(service):
    for m, p, b in (("GET","/",None),("GET","/users/1",None),("POST","/withdraw",{"userId":1,"amount":2}),("POST","/users",None),("POST","/users",{"balance":3}),("GET","/users/1/entries?limit=1",None),("GET","/nix",None),("DELETE","/users/1",None),("BREW","/users/1",None),("OPTIONS","/users/1",None),("HEAD","/users/1",None),("HEAD","/withdraw",None),("GET","/tasks",None),("GET","/runs?x=1&limit=0&status=q&since=2026",None),("GET","/nodes",None),("GET","/healthz",None),("GET","/readyz",None),("POST","/withdraw",{"userId":1,"amount":20000}),("GET","/users/99999999999999999999999",None),("POST","/tasks/x/run",None),("GET","/metrics",None)):
        a = await service.call(m,p,b); print(m,p,a.status,dict(a.headers),a.body[:400])
