export async function fetchWithUser(user, url, init = {}) {
  const send = async (forceRefresh) => {
    const headers = new Headers(init.headers);
    headers.set("Authorization", `Bearer ${await user.getIdToken(forceRefresh)}`);
    return fetch(url, { ...init, headers });
  };
  const response = await send(false);
  if (response.status !== 401) return response;
  const body = await response.clone().json().catch(() => null);
  const action = body?.error?.details?.[0]?.metadata?.action;
  return action === "REFRESH_TOKEN" ? send(true) : response;
}
